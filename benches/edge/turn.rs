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
        for turn in 0..everyone.len() {
            let number = (round + turn) % everyone.len();
            if let (Some(one), Some(results)) = (everyone.get_mut(number), results.get_mut(number))
            {
                results.push(measure(round, one)?);
            }
        }
    }
    Ok(results)
}
