//! Every interleaving of a writer and a reader, and every order in which the reader may see what
//! was written.

use loom::sync::Arc;
use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::*;

#[test]
fn reader_sees_what_was_written_together_and_is_not_stuck() {
    loom::model(|| {
        let shared = Arc::new((SeqLock::default(), [AtomicU64::new(0), AtomicU64::new(0)]));
        write(&shared, 1);
        let writer = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || write(&shared, 2))
        };
        let (lock, words) = &*shared;
        let read = || {
            lock.read(|| [0, 1].map(|word: usize| words[word].load(Relaxed)))
                .expect("the writer comes to an end")
        };
        let seen = read();
        assert_eq!(seen[0], seen[1]);
        writer.join().unwrap();
        assert_eq!(read(), [2, 2]);
    });
}

fn write((lock, words): &(SeqLock, [AtomicU64; 2]), number: u64) {
    lock.write(|| words.iter().for_each(|word| word.store(number, Relaxed)));
}
