"""Commands of the command line, a file each, which cli.py registers. A command finds the console in its context.

options.py has what several of them take.
"""

from minigan.commands.diagnose import diagnose
from minigan.commands.evaluate import evaluate
from minigan.commands.evaluate_model import evaluate_model
from minigan.commands.explain import explain
from minigan.commands.inspect import inspect
from minigan.commands.profile import profile
from minigan.commands.report import report
from minigan.commands.step import step
from minigan.commands.toy import toy

ALL = (evaluate, evaluate_model, diagnose, inspect, explain, step, toy, profile, report)
