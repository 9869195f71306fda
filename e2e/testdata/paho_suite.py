"""Runs a script of Eclipse Paho's interoperability suite, which lies in the working directory, on any port.

    paho_suite.py client_test|client_test5 PORT [Test.NAME]

The scripts' own main programs take a port, and pass it on to unittest, which does not know what it is.
"""
import ast
import importlib
import logging
import os
import sys
import unittest

name, port, only = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
sys.path.insert(0, os.getcwd())
suite = importlib.import_module(name)
# The tests need variables that the main program sets.
with open(suite.__file__, encoding='utf-8') as source:
    main = ast.parse(source.read()).body[-1]
for node in main.body:
    if isinstance(node, ast.Assign):
        exec(compile(ast.Module([node], []), suite.__file__, 'exec'), vars(suite))
suite.host, suite.port = '127.0.0.1', port
logging.getLogger().setLevel(logging.ERROR)
unittest.main(module=suite, argv=[name, '-v', *only])
