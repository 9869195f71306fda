// Package jetstream is the durable engine: it keeps the journal and the records
// in streams of NATS JetStream, in a server of its own inside this process or,
// by the same code, in an external cluster. It is the only package that knows
// NATS. What package engine promises holds; this is what comes on top.
//
// # What is durable, and when
//
// With Always, an embedded engine reports a position by Flushed, and returns
// from Sync, when the filesystem of its data directory was flushed after the
// server had written everything up to there: it survives the loss of power. One
// flush serves all who wait, and the next begins when it has ended. With
// Interval and Never a position is reported once the server has written it: it
// survives the death of the process, and the loss of power takes what was
// written since the last flush; Interval flushes every so often. Elsewhere than
// on Linux, where no single call flushes a filesystem, Always has the server
// flush each write alone; the name in the Promise says so, and it is slower.
//
// An external cluster promises Always, and the loss of one machine, only with at
// least three replicas of every stream, which is looked up, and with
// sync_interval: always on every server. A client cannot see the latter, so
// Options.SyncsAlways must state it; without either Open fails. With other
// policies an external engine promises the death of this process alone.
//
// # Order and atomicity
//
// Append copies its entries into memory, gives them their positions, and
// returns; it waits for the disk only when Options.Backlog is exceeded. Whole
// calls are put together into blocks of about 64 KiB, larger when a call is. A
// block is one message of the stream, with the first position inside, and is
// stored whole or not at all. One block is stored at a time, on the condition
// that the stream ends where this engine left it: none can be missing before
// one that is there, and a second engine on the same external stream is found
// out and refused. A call, and a record with its key, may have 31 MiB; at an
// external cluster its max_payload, less one KiB.
//
// Positions are consecutive, except that they jump by 2³² when the engine was
// not closed before: entries that were read but lost may have had those between.
//
// Records are one message for each key, in one stream for each table. Put and
// Delete leave the change in memory, where a later one of the same key takes its
// place. Deleted ones are forgotten by the server after a minute.
//
// # Reading
//
// The newest entries are kept in memory (Options.Tail, and at most 65,536): who
// follows the journal reads them without touching the stream. What is older is
// read from the stream, block by block, and found by bisection; nothing is
// scanned when the engine opens. Load reads from the stream, while others write.
//
// # Bounds
//
// MaxBytes and MaxAge give up the oldest blocks in the background, and Stats
// counts the entries. The last block stays on the disk though it may be given
// up: it says where the journal ends. What is given up leaves the disk when it
// amounts to 4 MiB, or at once when MaxBytes is exceeded.
//
// # Trouble
//
// When the disk is full or read-only, a flush fails, or a cluster is away,
// Append and Put answer ErrFull and Flushed says why; what was accepted before
// stays readable and is kept in memory. The engine tries again every two seconds
// or sooner: it starts the embedded server anew, since its store refuses every
// write after a failed one; after a failed flush it first writes every file
// again that has changed, since the kernel may have forgotten what it could not
// write; then it stores what the stream does not have. It leaves MinFree of the
// disk to others, so that this is rare. Where the stream lacks what was
// durable, or has what this engine did not write, it refuses until it is opened
// again.
//
// # Ownership
//
// An embedded server opens no port, handles no signals, and says what it has to
// say through Options.Log. The data directory is locked as long as the engine
// is open. The engine has four goroutines (one stores blocks, one records, one
// flushes, one repairs and bounds) beside those of NATS; Close waits for all of
// them.
package jetstream
