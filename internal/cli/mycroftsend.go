package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"omnibus/bus"
	"omnibus/client/mycroft"
	"omnibus/dialect/mycroft/mapping"
	"omnibus/payload"
)

type mycroftSendCommand struct {
	*stdio
	hub               *mycroftHub
	context, reply    string
	wait, flat, whole bool
	timeout           time.Duration
}

func newMycroftSendCommand(s *stdio, h *mycroftHub) *cobra.Command {
	c := &mycroftSendCommand{stdio: s, hub: h}
	cmd := &cobra.Command{
		Use:   "send TYPE [JSON | -]",
		Short: "Send a message, and wait for its answer if asked to",
		Long: `Send one message. JSON is its data, an object; "-" reads it from standard input.
The command returns when the hub has relayed the message, as all hubs do.

With --wait it prints the data of the answer: of the message TYPE.response that
carries our id. An answer that says not whom it is for is taken only when nobody
else can have asked. The exit code is 3 when the time runs out.`,
		Example: `  omnibus mycroft send speak '{"utterance": "I am good"}'
  omnibus mycroft send --wait mycroft.volume.get
  omnibus mycroft send --reply mycroft.skills.list skillmanager.list`,
		Args:              between(1, 2, "a type and at most its data"),
		ValidArgsFunction: completeTypes,
		RunE:              func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.BoolVarP(&c.wait, "wait", "w", false, "wait for the answer and print it")
	f.StringVar(&c.reply, "reply", "", "wait for an answer of this `TYPE` instead of TYPE.response")
	f.StringVar(&c.context, "context", "", "the context of the message, a `JSON` object")
	f.BoolVar(&c.flat, "flat", false, "put the members of JSON beside the type, as a GUI bus wants it, and do not wait for the hub to relay it")
	f.BoolVar(&c.whole, "json", false, "print the whole answer, not only its data")
	f.DurationVar(&c.timeout, "timeout", 5*time.Second, "how long the hub, or the answer, may take")
	return cmd
}

func (c *mycroftSendCommand) run(ctx context.Context, args []string) error {
	text := []byte(nil)
	switch {
	case args[0] == "":
		return usagef("the type is empty")
	case c.timeout <= 0:
		return usagef("--timeout must be more than zero")
	case c.flat && c.context != "":
		return usagef("--flat messages have no context")
	case len(args) > 1 && args[1] == "-":
		var err error
		if text, err = readAll(ctx, c.in); err != nil {
			return err
		}
	case len(args) > 1:
		text = []byte(args[1])
	}
	data, err := jsonObject("the data", text)
	if err != nil {
		return err
	}
	messageContext, err := jsonObject("--context", []byte(c.context))
	if err != nil {
		return err
	}
	m := mycroft.NewMessage(args[0], data)
	m.Context = messageContext
	if c.flat {
		m = mycroft.NewFlat(args[0], data)
	}
	return c.hub.with(ctx, func(client *mycroft.Client) error {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		if !c.wait && c.reply == "" {
			return deliver(ctx, client, m, c.timeout)
		}
		answer, err := ask(ctx, client, m, cmp.Or(c.reply, m.Type+".response"))
		if err != nil {
			return timedOut(err)
		}
		return c.print(answer)
	})
}

// jsonObject is what was typed as a JSON object; nothing is {}.
func jsonObject(what string, text []byte) (json.RawMessage, error) {
	text = bytes.TrimSpace(text)
	switch {
	case len(text) == 0:
		return json.RawMessage("{}"), nil
	case !json.Valid(text):
		return nil, usagef("%s must be a JSON object, such as '{\"name\": \"value\"}', not %.100q", what, text)
	case text[0] != '{':
		return nil, usagef("%s must be a JSON object in braces, not %.100q", what, text)
	}
	return text, nil
}

// rejected is the type in which an omnibus hub tells the sender that it has
// refused a message.
const rejected = "omnibus.rejected"

// deliver sends a message as it is and waits until the hub has relayed it; a
// flat one is relayed by nobody.
func deliver(ctx context.Context, client *mycroft.Client, m *mycroft.Message, patience time.Duration) error {
	if m.Fields != nil {
		return client.Emit(ctx, m)
	}
	want, err := canonical(m)
	if err != nil {
		return err
	}
	taken := make(chan error, 2)
	hear := func(_ context.Context, got *mycroft.Message) {
		err := refusal(got, m.Type)
		if text, failed := canonical(got); err == nil && (failed != nil || text != want) {
			return
		}
		select {
		case taken <- err:
		default: // it is known already
		}
	}
	client.On(m.Type, hear)
	client.On(rejected, hear)
	if err := client.Emit(ctx, m); err != nil {
		return err
	}
	select {
	case err := <-taken:
		return err
	case <-client.Done():
		return client.Err()
	case <-ctx.Done():
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return &codeError{exitTimeout, fmt.Sprintf("the hub has not relayed the message within %s; it may take the name for one of its own", patience)}
	}
	return context.Cause(ctx)
}

// canonical is a message in a form that does not depend on who wrote it: some
// hubs write what they relay anew.
func canonical(m *mycroft.Message) (string, error) {
	frame, err := m.AppendTo(nil)
	if err != nil {
		return "", err
	}
	d := json.NewDecoder(bytes.NewReader(frame))
	d.UseNumber()
	var x map[string]any
	if err := d.Decode(&x); err != nil {
		return "", err
	}
	text, err := payload.Marshal(x)
	return string(text), err
}

// refusal is the hub's reason not to relay a message of a type, nil when m is
// something else.
func refusal(m *mycroft.Message, msgType string) error {
	var why struct{ Type, Kind, Reason string }
	if m.Type != rejected || m.Decode(&why) != nil || why.Type != msgType {
		return nil
	}
	kind, _ := bus.ParseKind(why.Kind)
	return bus.Errorf(kind, msgType, "%s", why.Reason)
}

// ask sends a request and waits for its answer, or the refusal of the hub.
func ask(ctx context.Context, client *mycroft.Client, m *mycroft.Message, msgType string) (*mycroft.Message, error) {
	answer, err := client.WaitForResponse(ctx, m, msgType, rejected)
	if err != nil {
		return nil, err
	}
	if err := refusal(answer, m.Type); err != nil {
		return nil, err
	}
	return answer, mapping.ErrorOf(answer.Data)
}

// timedOut gives a timeout the exit code of one.
func timedOut(err error) error {
	if e, ok := errors.AsType[*mycroft.TimeoutError](err); ok {
		return &codeError{exitTimeout, "timed out: " + strings.ReplaceAll(e.Error(), " or "+rejected, "")}
	}
	return err
}

// print writes an answer.
func (c *mycroftSendCommand) print(answer *mycroft.Message) error {
	var text any = answer.Data
	if c.whole {
		text = answer
	}
	line, err := compact(payload.Of(text), payload.JSON)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintln(c.out, line); err != nil {
		return fmt.Errorf("writing to standard output: %w", err)
	}
	return nil
}

// mycroftTextCommand sends a text in a message.
type mycroftTextCommand struct {
	*stdio
	hub     *mycroftHub
	lang    string
	timeout time.Duration
	message func(text string) map[string]any
	msgType string
}

func newMycroftSpeakCommand(s *stdio, h *mycroftHub) *cobra.Command {
	c := &mycroftTextCommand{stdio: s, hub: h, msgType: "speak", message: func(text string) map[string]any {
		return map[string]any{"utterance": text}
	}}
	return c.command(&cobra.Command{
		Use:   "speak TEXT... | -",
		Short: "Have a text said aloud",
		Long:  `Have the voice assistant say a text; "-" reads it from standard input.`,
		Example: `  omnibus mycroft speak 'Hello World'
  uptime -p | omnibus mycroft speak -`,
	})
}

func newMycroftSayToCommand(s *stdio, h *mycroftHub) *cobra.Command {
	c := &mycroftTextCommand{stdio: s, hub: h, msgType: "recognizer_loop:utterance", message: func(text string) map[string]any {
		return map[string]any{"utterances": []string{text}}
	}}
	return c.command(&cobra.Command{
		Use:   "say-to TEXT... | -",
		Short: "Say a text to the assistant, as if it had heard it",
		Long: `Say a text to the voice assistant, as if somebody had spoken it; "-" reads it
from standard input.`,
		Example: `  omnibus mycroft say-to 'what time is it'
  omnibus mycroft say-to --lang de-de 'wie spät ist es'`,
	})
}

func (c *mycroftTextCommand) command(cmd *cobra.Command) *cobra.Command {
	cmd.Args = between(1, -1, "a text")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.run(cmd.Context(), args) }
	cmd.Flags().StringVar(&c.lang, "lang", "en-us", "language of the text; empty for none")
	cmd.Flags().DurationVar(&c.timeout, "timeout", 5*time.Second, "how long the hub may take")
	return cmd
}

func (c *mycroftTextCommand) run(ctx context.Context, args []string) error {
	text := strings.Join(args, " ")
	if text == "-" {
		in, err := readAll(ctx, c.in)
		if err != nil {
			return err
		}
		text = string(in)
	}
	if text = strings.TrimSpace(text); text == "" {
		return usagef("there is no text")
	}
	if c.timeout <= 0 {
		return usagef("--timeout must be more than zero")
	}
	data := c.message(text)
	if c.lang != "" {
		data["lang"] = c.lang
	}
	return c.hub.with(ctx, func(client *mycroft.Client) error {
		ctx, cancel := context.WithTimeout(ctx, c.timeout)
		defer cancel()
		return deliver(ctx, client, mycroft.NewMessage(c.msgType, data), c.timeout)
	})
}
