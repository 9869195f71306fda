package bench_test

import (
	"flag"
	"fmt"
	"net"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or, as a command that starts a broker, what its first
// argument says.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 {
		switch os.Args[1] {
		case "toy": // a broker on a port
			l, err := net.Listen("tcp", "127.0.0.1:"+os.Args[2])
			if err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
			new(toy).run(l, func(err error) { fmt.Fprintln(os.Stderr, err) })
		case "fail":
			fmt.Fprintln(os.Stderr, "no such setting:", os.Args[2])
			os.Exit(3)
		}
	}
	// They wait more than they work.
	flag.Parse()
	if err := flag.Set("test.parallel", "16"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}
