//! Whose turn it is: within a round everyone once, and each round begins with another, so that nobody always comes
//! after the same neighbour. What is measured is not known here.

use std::io;

/// Measures everyone once in each of `rounds` rounds; for everyone, the results by round.
///
/// # Errors
/// The first that a measurement gives.
pub(crate) fn in_turn<S, T>(
    rounds: usize,
    everyone: &mut [S],
    mut measure: impl FnMut(usize, &mut S) -> io::Result<T>,
) -> io::Result<Vec<Vec<T>>> {
    let mut results: Vec<Vec<T>> = everyone.iter().map(|_| Vec::new()).collect();
    for round in 0..rounds {
        let of_round = once_each(round, everyone, |one| measure(round, one))?;
        for (results, result) in results.iter_mut().zip(of_round) {
            results.push(result);
        }
    }
    Ok(results)
}

/// Measures everyone once, beginning with number `first`, counted round and round; the results stand in everyone's order.
///
/// # Errors
/// The first that a measurement gives.
pub(crate) fn once_each<S, T>(
    first: usize,
    everyone: &mut [S],
    mut measure: impl FnMut(&mut S) -> io::Result<T>,
) -> io::Result<Vec<T>> {
    let (later, sooner) = everyone.split_at_mut(first % everyone.len().max(1));
    let sooner = sooner.iter_mut().map(&mut measure).collect::<io::Result<Vec<_>>>()?;
    let later = later.iter_mut().map(measure).collect::<io::Result<Vec<_>>>()?;
    Ok(later.into_iter().chain(sooner).collect())
}
