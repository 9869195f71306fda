package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"omnibus/payload"
)

// maxInput bounds what is read from standard input as one message.
const maxInput = 64 << 20

// sniffed is a payload as the web dialect takes it: valid JSON is a value, else
// UTF-8 is text, else bytes.
func sniffed(data []byte) *payload.Value { return payload.New(payload.Sniff(data), data) }

// arguments are those of a call as they were typed: one that is a JSON array
// is the list of all.
func arguments(typed []string) *payload.Value {
	switch {
	case len(typed) == 0:
		return new(payload.Value)
	case len(typed) == 1 && typed[0] != "":
		return payload.New(payload.Raw, []byte(typed[0]))
	}
	args := make([]any, len(typed))
	for i, text := range typed {
		switch payload.Sniff([]byte(text)) {
		case payload.JSON:
			args[i] = json.RawMessage(text)
		case payload.Bytes:
			args[i] = []byte(text)
		default:
			args[i] = text
		}
	}
	return payload.OfArgs(args...)
}

// readAll reads all of r as one message.
func readAll(ctx context.Context, r io.Reader) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	done := make(chan result, 1)
	// Nothing can interrupt the read; when ctx ends first, the goroutine ends
	// with it, or with the process.
	go func() {
		data, err := io.ReadAll(io.LimitReader(r, maxInput+1))
		done <- result{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case in := <-done:
		if in.err != nil {
			return nil, fmt.Errorf("reading standard input: %w", in.err)
		}
		if len(in.data) > maxInput {
			return nil, fmt.Errorf("reading standard input: more than %d bytes", maxInput)
		}
		return in.data, nil
	}
}

// eachLine calls fn with every line of r, without its end, until fn fails.
func eachLine(ctx context.Context, r io.Reader, fn func(line []byte) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	lines := make(chan []byte)
	ended := make(chan error, 1)
	go func() { // as in readAll
		in := bufio.NewScanner(r)
		in.Buffer(nil, maxInput)
		for in.Scan() {
			select {
			case lines <- bytes.Clone(in.Bytes()):
			case <-ctx.Done():
				return
			}
		}
		ended <- in.Err()
	}()
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case line := <-lines:
			if err := fn(line); err != nil {
				return fmt.Errorf("line %d: %w", n, err)
			}
		case err := <-ended:
			if errors.Is(err, bufio.ErrTooLong) {
				err = fmt.Errorf("line %d is longer than %d bytes", n, maxInput)
			}
			if err != nil {
				return fmt.Errorf("reading standard input: %w", err)
			}
			return nil
		}
	}
}
