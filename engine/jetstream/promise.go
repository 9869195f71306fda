package jetstream

import (
	"errors"
	"fmt"

	"omnibus/engine"
)

// leastReplicas is how many servers hold what survives the loss of one.
const leastReplicas = 3

// promise says what the options and the server can keep, or that Always cannot
// be kept. It is asked before any stream is made.
func (o Options) promise(l *link) (engine.Promise, error) {
	p := engine.Promise{Name: "jetstream (embedded)", Durability: engine.Crash}
	if o.URL == "" {
		if o.Flush == Always {
			p.Durability = engine.PowerLoss
			if o.plainSync() {
				p.Name = "jetstream (embedded, each write flushed alone)"
			}
		}
		return p, nil
	}
	p.Name = fmt.Sprintf("jetstream (external, %d replicas)", o.Replicas)
	if o.Flush != Always {
		return p, nil
	}
	var errs []error
	if o.Replicas < leastReplicas {
		errs = append(errs, fmt.Errorf("%d replicas are asked for, and %d are needed", o.Replicas, leastReplicas))
	}
	if !o.SyncsAlways {
		errs = append(errs, errors.New("it is not stated that every server has sync_interval: always, which cannot be seen from outside"))
	}
	if err := errors.Join(errs...); err != nil {
		return p, fmt.Errorf("an external cluster at %s cannot promise the flush policy always: %w", l.nc.ConnectedUrlRedacted(), err)
	}
	p.Durability = engine.NodeLoss
	return p, nil
}
