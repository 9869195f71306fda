package bench

import (
	"context"
	"fmt"
)

// neverReads compares ten subscribers with nine and one that reads nothing.
func neverReads(ctx context.Context, t *trial) (*Result, error) {
	const size = 1 << 10 // so that the buffers of the system are soon full
	healthy := flow{publishers: 1, subscribers: 10, size: size, batch: 16}
	all, err := healthy.run(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("without the one that does not read: %w", err)
	}
	before, _ := t.target.memory()
	sick := healthy
	sick.subscribers, sick.stuck = 9, true
	r, err := sick.run(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("with one that does not read: %w", err)
	}
	r.Stuck = &Stuck{
		Healthy: all.Traffic.Rate * 9 / 10,
		Kept:    r.Traffic.Rate / (all.Traffic.Rate * 9 / 10),
	}
	if r.Memory != nil {
		r.Stuck.Bytes = r.Memory.Peak - before
	}
	return r, nil
}
