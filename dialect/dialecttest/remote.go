package dialecttest

import (
	"context"

	"omnibus/bus"
	"omnibus/internal/remote"
	"omnibus/payload"
	"omnibus/topic"
)

// DialRemote connects this project's own remote client for the URL's scheme.
func DialRemote(ctx context.Context, url string) (Client, error) {
	c, err := remote.Dial(ctx, url, remote.Options{})
	if err != nil {
		return nil, err
	}
	return remoteClient{c}, nil
}

type remoteClient struct{ remote.Client }

func (c remoteClient) Publish(ctx context.Context, name string, v *payload.Value) error {
	return c.Client.Publish(ctx, name, v, remote.PublishOptions{})
}

func (c remoteClient) Subscribe(ctx context.Context, p topic.Pattern, ready func(), fn func(*bus.Message)) error {
	return c.Client.Subscribe(ctx, []topic.Pattern{p}, ready, fn)
}
