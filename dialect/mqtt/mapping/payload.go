package mapping

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"omnibus/dialect/mqtt/packet"
	"omnibus/payload"
)

// The content types that stand for a form. All others, and none, stand for a
// payload that is not labelled.
const (
	TypeText  = "text/plain"
	TypeBytes = "application/octet-stream"
	TypeJSON  = "application/json"
	TypeCBOR  = "application/cbor"
	TypeArrow = "application/vnd.apache.arrow.stream"
)

// formOf is the form that a content type stands for, its parameters aside.
func formOf(contentType string) payload.Form {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.TrimSpace(media)
	switch {
	case media == "":
		return payload.Raw
	case strings.EqualFold(media, TypeText):
		return payload.Text
	case strings.EqualFold(media, TypeBytes):
		return payload.Bytes
	case strings.EqualFold(media, TypeCBOR):
		return payload.CBOR
	case strings.EqualFold(media, TypeArrow):
		return payload.Arrow
	}
	// JSON too: whether an array at the top is a list of arguments is decided
	// where somebody asks.
	return payload.Raw
}

// SetPayload makes v the payload of a message with a content type, which may be
// empty. v keeps data.
func SetPayload(v *payload.Value, contentType string, data []byte) {
	form := formOf(contentType)
	switch {
	case len(data) == 0:
		form, data = payload.Empty, nil
	case form == payload.Text && !utf8.Valid(data):
		form = payload.Raw
	}
	v.Set(form, data)
}

// Payload returns the payload of a message for v and labels it in p: content type
// and format indicator. The bytes are v's own and must not be changed. Errors wrap
// payload.ErrForm. That a value is the JSON it says it is, is not checked.
func Payload(p *packet.MessageProperties, v *payload.Value) ([]byte, error) {
	switch form := v.Form(); form {
	case payload.Empty:
		return nil, nil
	case payload.Raw:
		return v.Data(), nil
	case payload.Text, payload.Bytes, payload.CBOR, payload.Arrow:
		if formOf(p.ContentType) == form { // as it came
			return v.Data(), nil
		}
	}
	switch form := v.Kind(); form {
	case payload.Text:
		text, err := v.As(form)
		if err == nil && !utf8.Valid(text) { // the label would promise that it is
			err = fmt.Errorf("%w: text is not valid UTF-8", payload.ErrForm)
		}
		if err != nil {
			return nil, err
		}
		label(p, TypeText, 1)
		return text, nil
	case payload.Bytes:
		label(p, TypeBytes, 0)
		return v.As(form)
	}
	text, err := v.SplitJSON()
	if err != nil {
		return nil, err
	}
	if isEmptyList(text) { // no arguments
		label(p, "", 0)
		return nil, nil
	}
	label(p, TypeJSON, 0)
	return text, nil
}

// Unlabelled returns the payload of a request or an answer for v where nothing can
// label it: bytes and what was not labelled either as they are, anything else as
// JSON, so that the text "5" does not become a number.
func Unlabelled(v *payload.Value) ([]byte, error) {
	if v.Form() == payload.Raw {
		return v.Data(), nil
	}
	if v.Kind() == payload.Bytes {
		return v.As(payload.Bytes)
	}
	text, err := v.SplitJSON()
	if err != nil || isEmptyList(text) {
		return nil, err
	}
	return text, nil
}

func label(p *packet.MessageProperties, contentType string, format byte) {
	p.Present &^= packet.Properties(packet.ContentType, packet.PayloadFormatIndicator)
	p.ContentType, p.PayloadFormat = contentType, format
}

// isEmptyList reports whether a JSON text is [], which SplitJSON makes of a list
// of no arguments alone.
func isEmptyList(text []byte) bool {
	inner, ok := bytes.CutPrefix(bytes.TrimSpace(text), []byte("["))
	return ok && len(inner) > 0 && bytes.TrimSpace(inner)[0] == ']'
}
