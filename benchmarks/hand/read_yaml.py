"""Read a YAML file with the C reader: `python read_yaml.py FILE`"""

import sys

import yaml

with open(sys.argv[1], "rb") as file:
    assert yaml.load(file, yaml.CSafeLoader)["operations"]
