package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"golang.org/x/sync/errgroup"

	"omnibus/bridge"
	"omnibus/broker"
	"omnibus/dialect"
)

// App is a broker with its dialects.
type App struct {
	settings *Settings
	log      *slog.Logger
	broker   *broker.Broker
	places   []place
	bridges  []joint
}

// joint is one bridge.
type joint struct {
	name   string
	bridge *bridge.Bridge
}

// place is one listener of one dialect.
type place struct {
	spec     dialect.Spec
	listener dialect.Listener
	bound    dialect.Bound
}

// Logger makes the logger that the settings describe.
func (s *Settings) Logger(w io.Writer) *slog.Logger {
	level, err := s.Log.level()
	if err != nil {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if s.Log.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

// New makes the broker and opens the dialects. Nothing is bound yet.
func New(s *Settings, log *slog.Logger, version string) (*App, error) {
	o := s.Broker.options()
	o.Log, o.Version = log.With("part", "broker"), version
	b, err := broker.New(o)
	if err != nil {
		return nil, err
	}
	a := &App{settings: s, log: log, broker: b}
	for _, d := range s.Dialects {
		if !d.Config.Enabled() {
			continue
		}
		opened, err := d.Config.Open(dialect.Env{
			Port:    b,
			Log:     log.With("dialect", d.Spec.Name),
			Counter: b.Counters().Group(d.Spec.Name),
			Version: version,
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("%s: %w", d.Spec.Name, err), b.Close(context.Background()))
		}
		for _, l := range opened.Listeners() {
			a.places = append(a.places, place{spec: d.Spec, listener: l})
		}
	}
	for _, c := range s.Bridges {
		if !c.On {
			continue
		}
		opened, err := bridge.Open(c, dialect.Env{
			Port:    b,
			Log:     log.With("bridge", c.Name),
			Counter: b.Counters().Group("bridge." + c.Name),
			Version: version,
		})
		if err != nil {
			return nil, errors.Join(fmt.Errorf("the bridge %s: %w", c.Name, err), b.Close(context.Background()))
		}
		a.bridges = append(a.bridges, joint{c.Name, opened})
	}
	return a, nil
}

// Broker returns the broker, whose Bus is the door for functions of this
// process.
func (a *App) Broker() *broker.Broker { return a.broker }

// Bind takes the place of every listener. For each that cannot be had it says
// which dialect, which address and which setting; then it gives up the others.
func (a *App) Bind(ctx context.Context) error {
	var errs []error
	for i := range a.places {
		p := &a.places[i]
		bound, err := p.listener.Bind(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s cannot start: %w; the setting is %s, and %s.enabled: false does without",
				p.spec.Name, err, p.listener.Option, p.spec.Name))
			continue
		}
		p.bound = bound
	}
	if len(errs) > 0 {
		a.release()
	}
	return errors.Join(errs...)
}

// release gives up what was bound.
func (a *App) release() {
	for i := range a.places {
		if b := a.places[i].bound; b != nil {
			_ = b.Close()
			a.places[i].bound = nil
		}
	}
}

// Address is where a dialect listens.
type Address struct {
	Dialect string
	URL     string
	// Option is the setting that says where.
	Option string
	// Exposed: other machines can reach it.
	Exposed bool
}

// Addresses returns where the dialects listen, after Bind.
func (a *App) Addresses() []Address {
	var all []Address
	for _, p := range a.places {
		if p.bound != nil {
			all = append(all, Address{p.spec.Name, p.bound.URL(), p.listener.Option, p.bound.Exposed()})
		}
	}
	return all
}

// Run serves until ctx ends or a listener fails, then ends everything: first
// the listeners, which tell their clients, and the bridges, then the broker. What
// becomes of a bridge ends nothing else. It returns nil when
// ctx ended it and everything ended in time.
func (a *App) Run(ctx context.Context) error {
	for _, x := range a.Addresses() {
		a.log.Info("a dialect is served", "dialect", x.Dialect, "url", x.URL)
		if x.Exposed {
			a.log.Warn("open to other machines: anybody there may publish, subscribe and call", "dialect", x.Dialect, "url", x.URL, "setting", x.Option)
		}
	}
	g, serving := errgroup.WithContext(ctx)
	for _, p := range a.places {
		g.Go(func() error {
			err := p.bound.Run(serving)
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("%s at %s: %w", p.spec.Name, p.bound.URL(), err)
			}
			if err != nil {
				a.log.Warn("a dialect did not end in time", "dialect", p.spec.Name, "err", err)
			}
			return nil
		})
	}
	for _, j := range a.bridges {
		g.Go(func() error {
			if err := j.bridge.Run(serving); err != nil {
				a.log.Error("a bridge has ended", "bridge", j.name, "err", err)
			}
			return nil
		})
	}
	g.Go(func() error {
		<-serving.Done()
		a.log.Info("the broker is ending")
		return nil
	})
	err := errors.Join(g.Wait(), a.close())
	a.log.Info("the broker has ended")
	return err
}

// close ends the broker within its grace.
func (a *App) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), a.settings.Broker.Grace)
	defer cancel()
	return a.broker.Close(ctx)
}

// Close gives up an App that was never run.
func (a *App) Close() error {
	a.release()
	return a.close()
}
