package dialect

import (
	"context"

	"omnibus/carrier"
)

// TLS are the settings by which a listener serves TLS.
type TLS struct {
	Cert string `yaml:"cert" help:"Certificate file (PEM); empty is no TLS."`
	Key  string `yaml:"key" help:"Private key file (PEM)."`
}

// Validate returns what is wrong, for a field that is called tls.
func (t TLS) Validate() []Problem {
	if (t.Cert == "") == (t.Key == "") {
		return nil
	}
	return []Problem{{Path: "tls", Text: "cert and key go together"}}
}

// BindTCP binds host and port, with TLS when it is set; the URL's scheme then has
// an s behind it. The endpoint of s is not looked at.
func BindTCP(ctx context.Context, address string, t TLS, s StreamListener) (Bound, error) {
	s.Endpoint = carrier.Endpoint{Network: "tcp", Address: address}
	if t.Cert != "" {
		var err error
		if s.Endpoint.TLS, err = carrier.LoadTLS(t.Cert, t.Key, ""); err != nil {
			return nil, err
		}
		s.Scheme += "s"
	}
	return BindStream(ctx, s)
}
