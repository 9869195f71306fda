// Package payload is what a message carries: bytes and the form they are in.
//
// A [Value] keeps the bytes it was given. It is converted only when somebody
// asks for another form, once per form, and everybody who asks after that
// shares the result. Who reads a value in the form it was written in gets the
// very bytes that were written.
//
// # Forms
//
// A value is nothing ([Empty]), one value ([JSON], [Text], [Go]), a list of
// arguments ([Args]), opaque bytes ([Bytes]), or a table ([Arrow]). [CBOR] is
// the argument list of the Rembus dialect. [Raw] is what a sender did not
// label: it is decided once, when somebody asks, by the rule that valid JSON is
// a value (an array at the top: a list of arguments), else UTF-8 is text, else
// bytes. JSON with strings that are not UTF-8 is not valid.
//
// # Ownership
//
// Set and SetGo keep a reference: the bytes must not change while the value is
// in use. What As returns belongs to the value and must not be changed; it is
// valid as long as the value's own bytes are. Keep makes a copy that is valid
// for ever and may be read by many goroutines at a time.
//
// # Other encodings
//
// JSON, text and bytes are built in, with the standard library alone. CBOR and
// Arrow are handed in by the wiring as [Codecs].
package payload
