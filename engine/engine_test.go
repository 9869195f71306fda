package engine_test

import (
	"testing"

	"omnibus/engine"
)

func TestDurabilityNames(t *testing.T) {
	for d, want := range map[engine.Durability]string{
		engine.Process: "process", engine.Crash: "crash", engine.PowerLoss: "power loss", engine.NodeLoss: "node loss",
		engine.NodeLoss + 1: "unknown durability",
	} {
		if got := d.String(); got != want {
			t.Errorf("durability %d is %q, want %q", d, got, want)
		}
	}
}

func TestDegreesOfDurabilityAreInOrder(t *testing.T) {
	if !(engine.Process < engine.Crash && engine.Crash < engine.PowerLoss && engine.PowerLoss < engine.NodeLoss) {
		t.Error("a greater degree must include those before it")
	}
}
