// Package cli is the command line: [Run] is the whole program but for its
// signals, and each subcommand is a file of its name.
//
// What a command produces goes to standard output, everything about it to
// standard error: errors as one line that begins with "omnibus:", followed by
// the usage where that was wrong. The exit codes are 0 for success, 1 for
// failure, 2 for wrong usage and 3 for a subscription whose time ran out.
//
// Run returns when everything that the command started has ended, but for a
// read of standard input that nothing can interrupt.
package cli
