package cli_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"go.uber.org/goleak"

	"omnibus/internal/cli"
)

// quickRaces are settings of the race detector, which otherwise lets every
// process sleep for a second before it ends.
const quickRaces = "atexit_sleep_ms=0"

func TestMain(m *testing.M) {
	check(os.Setenv("GORACE", quickRaces)) // for the processes that tests start
	testscript.Main(unleaked{m}, map[string]func(){
		"omnibus": func() {
			ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt)
			os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
		"answer": answer,
	})
}

// unleaked runs the tests and fails when they leave goroutines behind.
type unleaked struct{ m *testing.M }

func (u unleaked) Run() int {
	code := u.m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}

// answer is a program that answers calls, in the way its arguments say.
func answer() {
	args, input := os.Args[1:], ""
	if args[0] != "deaf" {
		all, err := io.ReadAll(os.Stdin)
		check(err)
		input = string(all)
	}
	switch args[0] {
	case "sum":
		var numbers []float64
		check(json.Unmarshal([]byte(input), &numbers))
		sum := 0.0
		for _, x := range numbers {
			sum += x
		}
		fmt.Println(sum)
	case "input": // tells what it was given
		fmt.Printf("%s got %s", os.Getenv("OMNIBUS_SERVICE"), input)
	case "say": // writes its arguments as they are
		for _, text := range args[1:] {
			fmt.Print(text)
		}
	case "bytes":
		fmt.Print("\x00\xff\n")
	case "deaf":
		fmt.Println("what?")
	case "fail": // with many lines on standard error
		for i := range 20 {
			fmt.Fprintln(os.Stderr, "line", i)
		}
		os.Exit(3)
	case "quietly":
		os.Exit(4)
	case "hang": // with a process of its own, which both tell an address that they live
		child := exec.Command(os.Args[0], "live", args[1])
		child.Stdout = os.Stdout
		check(child.Start())
		live(args[1])
	case "live":
		live(args[1])
	}
}

// live holds a connection open.
func live(address string) {
	c, err := net.Dial("tcp", address)
	check(err)
	_, err = bufio.NewReader(c).ReadString('\n')
	check(err)
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "answer:", err)
		os.Exit(9)
	}
}
