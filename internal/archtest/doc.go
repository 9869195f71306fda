// Package archtest holds the tests of the house; it has no code of its own.
// They read the source, not the compiled program, so that every file is seen
// whatever its build tags.
//
//   - imports: the graph of packages is the table in graph_test.go, exactly; so
//     is which package may use which outside module. Adding a package means
//     adding a line.
//   - comments: every package has one package comment, and it says something.
//   - sizes: no Go file is longer than a reader can hold.
//   - texts: nothing names a path of somebody's machine, links between pages
//     lead somewhere, and every command of make and of the program that a page
//     shows exists.
//   - sleeping: nobody sleeps but in the fake time of testing/synctest, or says
//     why.
package archtest
