package jetstream_test

import (
	"testing"

	"omnibus/engine"
	"omnibus/engine/enginetest"
	"omnibus/engine/jetstream"
)

func factory(o jetstream.Options) enginetest.Factory {
	return enginetest.Factory{Open: func(dir string) (engine.Engine, error) {
		o.Dir = dir
		return jetstream.Open(o)
	}}
}

func TestConformance(t *testing.T) {
	enginetest.Run(t, factory(jetstream.Options{}))
}

func TestConformanceWithoutATail(t *testing.T) {
	enginetest.Run(t, factory(jetstream.Options{Tail: -1}))
}
