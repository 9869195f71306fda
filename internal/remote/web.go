package remote

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"omnibus/bus"
	"omnibus/dialect/web"
	"omnibus/payload"
	"omnibus/topic"
)

// webClient speaks the web dialect.
type webClient struct {
	base      *url.URL
	root      string // the URL without its last slash, query and fragment
	options   Options
	transport *http.Transport
	http      http.Client
	ctx       context.Context //nolint:containedctx // ends with the client
	cancel    context.CancelFunc
}

func newWeb(u *url.URL, o Options) *webClient {
	root := *u
	root.RawQuery, root.Fragment = "", ""
	c := &webClient{
		base:    u,
		root:    strings.TrimSuffix(root.String(), "/"),
		options: o,
		transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			DialContext:     o.Dial,
			TLSClientConfig: o.TLS,
			// Answers of a service come from many goroutines at a time.
			MaxIdleConnsPerHost: 32,
			IdleConnTimeout:     time.Minute,
		},
	}
	c.http.Transport = c.transport
	c.ctx, c.cancel = context.WithCancel(context.Background())
	return c
}

// Close ends the streams and the connections.
func (c *webClient) Close() error {
	c.cancel()
	c.transport.CloseIdleConnections()
	return nil
}

// within returns a context that also ends with the client, and its release.
func (c *webClient) within(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.ctx, func() { cancel(errClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// request is one HTTP request to the broker.
type request struct {
	method, path, query string
	media               string
	body                []byte
}

// do sends a request. Anything but success is an error, of the kind that the
// broker told; a success's body is to be closed.
func (c *webClient) do(ctx context.Context, q request) (*http.Response, error) {
	at := c.root + q.path
	if q.query != "" {
		at += "?" + q.query
	}
	r, err := http.NewRequestWithContext(ctx, q.method, at, bytes.NewReader(q.body))
	if err != nil {
		return nil, fmt.Errorf("making the request: %w", err)
	}
	if q.media != "" {
		r.Header.Set("Content-Type", q.media)
	}
	resp, err := c.http.Do(r)
	if err != nil {
		if why := unreachable(c.base, err); why != nil && ctx.Err() == nil {
			return nil, why
		}
		return nil, fmt.Errorf("asking the broker: %w", err)
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	return nil, c.refusal(resp)
}

// refusal is the error in an answer.
func (c *webClient) refusal(resp *http.Response) error {
	text, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("reading the broker's answer: %w", err)
	}
	var body web.ErrorBody
	if json.Unmarshal(text, &body) != nil || body.Error.Kind == "" {
		return fmt.Errorf("%s answered %s: it does not seem to be an omnibus broker", c.base.Redacted(), resp.Status)
	}
	return &bus.Error{Kind: kind(body.Error.Kind), Text: body.Error.Message}
}

// Publish is POST /topics/TOPIC.
func (c *webClient) Publish(ctx context.Context, name string, v *payload.Value, o PublishOptions) error {
	if err := topic.CheckName(name); err != nil {
		return err
	}
	q := url.Values{}
	if o.Retain {
		q.Set("retain", "1")
	}
	if o.QoS > 0 {
		q.Set("qos", strconv.Itoa(int(o.QoS)))
	}
	media, body, err := webBody(v)
	if err != nil {
		return err
	}
	if kind := v.Kind(); kind == payload.Args || kind == payload.CBOR {
		q.Set("form", payload.Args.String())
		if body, err = v.As(payload.Args); err != nil {
			return err
		}
	}
	ctx, release := c.within(ctx)
	defer release()
	resp, err := c.do(ctx, request{http.MethodPost, "/topics/" + url.PathEscape(name), q.Encode(), media, body})
	if err != nil {
		return err
	}
	return drain(resp)
}

// drain reads what is left of an answer, so that its connection can be used
// again.
func drain(resp *http.Response) error {
	_, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10))
	return errors.Join(err, resp.Body.Close())
}

// webBody is a value as the body of a request, and its content type.
func webBody(v *payload.Value) (media string, body []byte, err error) {
	form := v.Kind()
	switch form {
	case payload.Empty:
		return "", nil, nil
	case payload.Bytes:
		media = "application/octet-stream"
	case payload.Arrow:
		media = "application/vnd.apache.arrow.stream"
	case payload.Text:
		media = "text/plain; charset=utf-8"
		if text, err := v.As(form); err == nil && len(text) == 0 { // no body would be no value
			media, form = "application/json", payload.JSON
		}
	default:
		media, form = "application/json", payload.JSON
	}
	body, err = v.As(form)
	return media, body, err
}

// Call is POST /rpc/NAME.
func (c *webClient) Call(ctx context.Context, name string, args *payload.Value) (*payload.Value, error) {
	if err := topic.CheckName(name); err != nil {
		return nil, err
	}
	start := time.Now()
	q := request{method: http.MethodPost, path: "/rpc/" + url.PathEscape(name), media: "application/json"}
	form := payload.Args
	if args.Kind() == payload.Bytes {
		q.media, form = "application/octet-stream", payload.Bytes
	}
	var err error
	if q.body, err = args.As(form); err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		if left := time.Until(deadline); left > 0 {
			q.query = "timeout=" + left.String()
		}
	}
	ctx, release := c.within(ctx)
	defer release()
	resp, err := c.do(ctx, q)
	if err != nil {
		if ctx.Err() != nil {
			return nil, gaveUp(ctx, name, start)
		}
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	return c.result(resp)
}

// result is the value in an answer.
func (c *webClient) result(resp *http.Response) (*payload.Value, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(c.options.MaxMessage)+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the answer: %w", err)
	case len(body) > c.options.MaxMessage:
		return nil, bus.Errorf(bus.TooLarge, "", "the answer is larger than %d bytes", c.options.MaxMessage)
	}
	switch resp.Header.Get("Content-Type") {
	case "application/octet-stream":
		return payload.New(payload.Bytes, body), nil
	case "application/vnd.apache.arrow.stream":
		return payload.New(payload.Arrow, body), nil
	default:
		return payload.New(payload.JSON, bytes.TrimSuffix(body, []byte("\n"))), nil
	}
}
