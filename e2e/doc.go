// Package e2e tests Omnibus as people use it: real processes, real sockets,
// and the unmodified clients of the systems it speaks for.
//
// Tests that need a foreign client are skipped, with the reason, where the
// tool is absent: curl, the programs of mosquitto-clients, node. OMNIBUS_E2E_PYTHON
// names a Python interpreter that has the packages of tools/e2e-requirements.txt;
// without it python3 is tried. OMNIBUS_E2E_NODE names a directory whose
// node_modules has the npm package mqtt. .ci/run installs all of it but the
// interoperability suite of Eclipse Paho, for which OMNIBUS_PAHO_TESTING names a
// checkout of eclipse/paho.mqtt.testing.
package e2e
