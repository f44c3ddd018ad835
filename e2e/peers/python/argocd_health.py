"""Runs a health script as Argo CD does: the object is the global `obj`, the
script's result is the health. Usage: argocd_health.py SCRIPT < OBJECT.json"""

import json
import sys

from lupa import LuaRuntime


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as script:
        text = script.read()
    lua = LuaRuntime(unpack_returned_tuples=True)
    lua.globals().obj = lua.table_from(json.load(sys.stdin), recursive=True)
    health = lua.execute(text)
    print(json.dumps({"status": health.status, "message": health.message}))


main()
