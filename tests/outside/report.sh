# The council's report of a lab run, opened in headless Chromium: no script, nothing from outside, nothing that runs over
# the edge of an A4 page, in both languages.
. "$OUTSIDE/bench.sh"
"$SEKISHO" lab --once --directory lab > lab.txt
today=$(TZ=Asia/Tokyo date +%F)
browser() { timeout 120 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --user-data-dir="$WORK/profile" "$@" 2>> chromium.log; }

for lang in ja en; do
  "$SEKISHO" report -c lab/appliance.yaml --from "$today" --to "$today" --lang "$lang" -o "report-$lang.html"
  ! grep -Eiq '<script|src=|href=|url\(|@import|https?://' "report-$lang.html" || fail "$lang: something from outside"

  # The width of an A4 page without its margins (186 mm) at 96 dots an inch: 703. A probe of our own measures the page.
  python3 - "report-$lang.html" "probe-$lang.html" <<'PY'
import pathlib, re, sys
page = pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")
assert "Content-Security-Policy" in page
page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
probe = """<script>addEventListener("load", () => {
  const wide = document.documentElement.clientWidth;
  const over = [...document.querySelectorAll("body *")].filter(it => it.getBoundingClientRect().right > wide + 1 || (it.scrollWidth > it.clientWidth + 1 && it.clientWidth > 0 && getComputedStyle(it).display !== "inline"));
  document.body.setAttribute("data-over", over.length);
  document.body.setAttribute("data-first", over.slice(0, 3).map(it => it.tagName + ":" + it.textContent.slice(0, 40)).join(" | "));
  document.body.setAttribute("data-entries", performance.getEntriesByType("resource").length);
})</script>"""
pathlib.Path(sys.argv[2]).write_text(page.replace("</body>", probe + "</body>"), encoding="utf-8")
PY
  browser --window-size=703,1000 --virtual-time-budget=5000 --dump-dom "file://$WORK/probe-$lang.html" > dom || fail "chromium: $(tail -n 3 chromium.log)"
  over=$(grep -o 'data-over="[0-9]*"' dom) || fail "$lang: the page was not measured"
  same "$lang: elements wider than the page ($(grep -o 'data-first="[^"]*"' dom))" 'data-over="0"' "$over"
  same "$lang: resources" 'data-entries="0"' "$(grep -o 'data-entries="[0-9]*"' dom)"

  browser --no-pdf-header-footer --print-to-pdf="report-$lang.pdf" "file://$WORK/report-$lang.html" > /dev/null
  pages=$(pdfinfo "report-$lang.pdf" | sed -n 's/^Pages: *//p')
  pdfinfo "report-$lang.pdf" | grep -E '^Page size: .*(A4|59[45][.0-9]* x 84[12])' > /dev/null || fail "$lang: not A4: $(pdfinfo "report-$lang.pdf" | grep 'Page size')"
  note "$lang: $pages pages of A4, nothing over the edge, nothing from outside"
done

# What the lab did is in it.
for word in reverse_access site_not_declared 準じた措置 答申の記録なし 令和元年度諮問第５号 '対象期間がまだ終わっていません'; do
  grep -q "$word" report-ja.html || fail "no $word in the report"
done
! grep -q 遵守 report-ja.html || fail 'it claims what nobody can'
head=$(grep -o '<code>[0-9]*:[A-Za-z0-9+/]*=</code>' report-ja.html | sed 's/<[^>]*>//g')
"$SEKISHO" ledger verify -c lab/appliance.yaml --against "$head" > verified || fail "$(cat verified)"
note "the head it prints: $(head -n 1 verified)"
