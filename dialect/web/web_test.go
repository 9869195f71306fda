package web_test

import (
	"testing"

	"go.uber.org/goleak"

	"omnibus/dialect"
	"omnibus/dialect/dialecttest"
	"omnibus/dialect/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func driver() dialecttest.Driver {
	return dialecttest.Driver{
		Spec:              web.Spec(),
		Configure:         func(c dialect.Config) { c.(*web.Config).Listen = "127.0.0.1:0" },
		Dial:              dialecttest.DialRemote,
		MalformedCounters: []string{"requests_malformed", "requests_failed"},
		Malformed: []string{
			"garbage\r\n\r\n",
			"\x16\x03\x01\x02\x00\x00",
			"POST /topics/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: nonsense\r\n\r\n",
			"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n",
			"GET /events?topics=a/%23/b HTTP/1.1\r\nHost: localhost\r\n\r\n",
			"POST /rpc/x HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1\r\n\r\n{",
			"GET /topics/%zz HTTP/1.1\r\nHost: localhost\r\n\r\n",
		},
	}
}

func TestConformance(t *testing.T) { dialecttest.Run(t, driver()) }
