// Package enginetest is what every engine must pass: the promises of package
// engine as named cases, and random programs that must have the same history
// on the engine as on a naive model of it.
//
//	func TestConformance(t *testing.T) {
//		enginetest.Run(t, enginetest.Factory{
//			Open: func(dir string) (engine.Engine, error) { return mine.Open(dir) },
//		})
//	}
//
// [Cases] gives the cases one by one. [Compare] plays one random program on any
// two engines; where their histories differ it looks for a smaller program
// that still shows it, and prints that one. A program is made from a seed and
// nothing else, so that a seed is all that a failure need be told by.
//
// The cases begin with an engine whose journal is empty and must have room for
// 4,096 entries and 32 MiB. They assert no times; what does not come within two
// minutes is missing.
package enginetest
