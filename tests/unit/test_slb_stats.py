from __future__ import annotations

from testbed.engine.slb_stats import parse, read
from testbed.errors import EngineError

SHOW_STAT = """# pxname,svname,stot,econ,eresp,wretr,wredis,status,weight,
pages,FRONTEND,7,,,,,OPEN,,
pages,web-1,5,1,2,3,4,UP 1/3,1,
pages,web-2,2,0,0,0,0,no check,1,
pages,BACKEND,7,1,2,3,4,UP,1,
"""


def test_servers_are_read_with_their_state_and_counters_and_the_sums_are_not():
    assert parse(SHOW_STAT) == [
        {
            "backend": "pages",
            "server": "web-1",
            "status": "UP 1/3",
            "sessions_total": 5,
            "connection_errors": 1,
            "response_errors": 2,
            "retries": 3,
            "redispatches": 4,
        },
        {
            "backend": "pages",
            "server": "web-2",
            "status": "no check",
            "sessions_total": 2,
            "connection_errors": 0,
            "response_errors": 0,
            "retries": 0,
            "redispatches": 0,
        },
    ]


class NoAdminSocket:
    def run_in(self, host: str, argv: list[str]) -> str:
        raise EngineError("a command in a container failed")


def test_an_slb_without_an_admin_socket_has_no_statistics():
    assert read(NoAdminSocket(), "slb") == []
