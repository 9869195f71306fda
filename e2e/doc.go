// Package e2e tests Omnibus as people use it: real processes, real sockets,
// and the unmodified clients of the systems it speaks for.
//
// Tests that need a foreign client are skipped, with the reason, where the
// tool is absent. OMNIBUS_E2E_PYTHON names a Python interpreter that has the
// packages mycroft-messagebus-client and ovos-bus-client; without it python3
// is tried. .ci/run installs all of it.
package e2e
