"""
bench.py - compare a direct connection, pooler and PgBouncer with pgbench -S

bench.sh prepares everything and runs this as the user who owns the servers.

Two servers have the same data and settings; only one has pooler loaded.  The
direct connection and PgBouncer use the other one, so nothing of ours can slow
them down.  In each round the targets take turns for every combination of mode
and number of clients, in another order each time; the table shows medians.
"""

import glob
import os
import platform
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict, namedtuple

WORK = sys.argv[1]
ROUNDS = int(os.environ["ROUNDS"])
SECONDS = int(os.environ["SECONDS_PER_RUN"])
TARGETS = os.environ["TARGETS"].split()
CLIENTS = [int(n) for n in os.environ["CLIENTS"].split()]
MODES = os.environ["MODES"].split()
PGBOUNCER = os.environ["PGBOUNCER"]

POOL_SIZE = 8
CONNECT_CLIENTS = 8
MAX_CONNECTIONS = 600
MAX_CLIENT_CONN = 5000
SCALE = 10

# Cost of the log is the same for all targets; it must not reach a disk.
LOG_DIR = "/dev/shm" if os.access("/dev/shm", os.W_OK) else WORK

# Modes that begin so are the same by TLS.
TLS = "tls-"

Run = namedtuple("Run", "tps p50 p99 cpu")      # tps, ms, ms, µs/transaction


class Failed(Exception):
    """A run that pgbench did not complete without an error."""


def output(*command):
    return subprocess.run(command, check=True, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE).stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


# ---- the servers -----------------------------------------------------------

def with_tls():
    return any(mode.startswith(TLS) for mode in MODES)


def make_certificate():
    output("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "10",
           "-subj", "/CN=localhost", "-keyout", f"{WORK}/server.key", "-out", f"{WORK}/server.crt")
    os.chmod(f"{WORK}/server.key", 0o600)


class Server:
    """A cluster of its own below WORK."""

    def __init__(self, name, settings=""):
        self.data = f"{WORK}/{name}"
        self.port = free_port()
        self.settings = settings

    def init(self):
        output("initdb", "-D", self.data, "-U", "postgres", "--auth=trust", "--no-sync")
        # Only "bench" gets in by TCP: trust would give the superuser to
        # everyone on the machine.  The socket directory is ours alone.
        with open(f"{self.data}/pg_hba.conf", "w") as f:
            f.write("local all all trust\nhost bench bench 127.0.0.1/32 trust\n")

    def start(self):
        with open(f"{self.data}/postgresql.conf", "a") as f:
            f.write(f"port = {self.port}\n"
                    "listen_addresses = '127.0.0.1'\n"
                    f"unix_socket_directories = '{WORK}/sockets'\n"
                    f"max_connections = {MAX_CONNECTIONS}\n"
                    "shared_buffers = 256MB\n"
                    "autovacuum = off\n"
                    "logging_collector = off\n"
                    + (f"ssl = on\nssl_cert_file = '{WORK}/server.crt'\n"
                       f"ssl_key_file = '{WORK}/server.key'\n" if with_tls() else "")
                    + self.settings)
        output("pg_ctl", "start", "-s", "-w", "-D", self.data, "-l", f"{self.data}/log")
        with open(f"{self.data}/postmaster.pid") as f:
            self.pid = int(f.readline())

    def stop(self):
        output("pg_ctl", "stop", "-s", "-m", "fast", "-D", self.data)

    def sql(self, command, database="bench"):
        return output("psql", "-X", "-At", "-h", f"{WORK}/sockets", "-p", str(self.port),
                      "-U", "postgres", "-d", database, "-c", command).strip()


class Target:
    """What pgbench connects to, and the processes that serve it."""

    def __init__(self, name, port, pids):
        self.name = name
        self.port = port
        self.pids = pids

    def takes(self, clients):
        return self.name != "direct" or clients <= MAX_CONNECTIONS - 10


def pgbouncer_version():
    text = output(PGBOUNCER, "--version").split("\n")[0]
    return text, tuple(int(n) for n in re.findall(r"\d+", text)[:2])


def start_pgbouncer(server):
    """Give it the server's Unix socket, its fastest way."""
    port = free_port()
    with open(f"{WORK}/users.txt", "w") as f:
        f.write('"bench" ""\n')
    with open(f"{WORK}/pgbouncer.ini", "w") as f:
        f.write("[databases]\n"
                f"bench = host={WORK}/sockets port={server.port}\n"
                "[pgbouncer]\n"
                "listen_addr = 127.0.0.1\n"
                f"listen_port = {port}\n"
                "unix_socket_dir =\n"
                "auth_type = trust\n"
                f"auth_file = {WORK}/users.txt\n"
                "pool_mode = transaction\n"
                f"default_pool_size = {POOL_SIZE}\n"
                f"max_client_conn = {MAX_CLIENT_CONN}\n"
                "log_connections = 0\n"
                "log_disconnections = 0\n")
        if with_tls():
            f.write("client_tls_sslmode = allow\n"
                    f"client_tls_key_file = {WORK}/server.key\n"
                    f"client_tls_cert_file = {WORK}/server.crt\n")
        if pgbouncer_version()[1] >= (1, 21):
            f.write("max_prepared_statements = 200\n")
    with open(f"{WORK}/pgbouncer.log", "w") as log:
        process = subprocess.Popen([PGBOUNCER, f"{WORK}/pgbouncer.ini"],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    return Target("pgbouncer", port, [process.pid, server.pid]), process


# ---- measuring -------------------------------------------------------------

def cpu_seconds(roots):
    """CPU time of processes and all their descendants, ended ones included."""
    processes = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as f:
                stat = f.read().rpartition(")")[2].split()
        except OSError:
            continue            # it has just ended
        # ppid; utime, stime and those of the children that were waited for
        processes[int(path.split("/")[2])] = int(stat[1]), sum(map(int, stat[11:15]))

    children = defaultdict(list)
    for pid, (parent, _) in processes.items():
        children[parent].append(pid)
    ticks, todo = 0, list(roots)
    while todo:
        pid = todo.pop()
        ticks += processes.get(pid, (0, 0))[1]
        todo += children[pid]
    return ticks / os.sysconf("SC_CLK_TCK")


def pgbench_command(target, mode, clients, seconds, log):
    mode = mode.removeprefix(TLS)
    connect = mode == "connect"
    # With -C a thread waits for each connection that it makes, so every
    # client needs one of its own.
    jobs = clients if connect else min(clients, os.cpu_count())
    return (["pgbench", "-n", "-S", "-h", "127.0.0.1", "-p", str(target.port), "-U", "bench",
             "-c", str(clients), "-j", str(jobs), "-T", str(seconds),
             "-M", "simple" if connect else mode,
             "--log", f"--log-prefix={log}/tx"]
            + (["-C"] if connect else ["--sampling-rate=0.1"]) + ["bench"])


def latencies(log, mode):
    """Milliseconds, sorted.  Of pgbench -C: from one result to the client's
    next, since its own figure leaves out connecting."""
    result, previous = [], {}
    for path in glob.glob(f"{log}/tx.*"):
        with open(path) as f:
            for line in f:
                client, _, elapsed, _, second, micros = line.split()[:6]
                if mode.endswith("connect"):
                    now = int(second) * 1000000 + int(micros)
                    elapsed = now - previous.get(client, now)
                    previous[client] = now
                    if elapsed == 0:
                        continue
                result.append(int(elapsed) / 1000)
    return sorted(result)


def measure(target, mode, clients):
    log = tempfile.mkdtemp(prefix="pooler-bench.", dir=LOG_DIR)
    # for pgbench, -T includes connecting
    seconds = SECONDS + clients // (50 if mode.startswith(TLS) else 250)
    process = subprocess.Popen(pgbench_command(target, mode, clients, seconds, log), text=True,
                               env={**os.environ,
                                    "PGSSLMODE": "require" if mode.startswith(TLS) else "disable"},
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    end = time.monotonic() + seconds - 0.2
    try:
        # CPU is counted from the first results, when all clients are
        # connected, until shortly before the end.
        while (not mode.endswith("connect") and time.monotonic() < end and process.poll() is None
               and not any(os.path.getsize(f) for f in glob.glob(f"{log}/tx.*"))):
            time.sleep(0.01)
        since, cpu = time.monotonic(), cpu_seconds(target.pids)
        while time.monotonic() < end and process.poll() is None:
            time.sleep(0.1)
        cpu = cpu_seconds(target.pids) - cpu
        window = time.monotonic() - since

        text, _ = process.communicate(timeout=60)
        tps = re.search(r"^tps = ([0-9.]+)", text, re.M)
        failed = re.search(r"^number of failed transactions: ([1-9].*)", text, re.M)
        if process.returncode != 0 or failed or not tps:
            error = re.search(r"error: (.*)", text) or failed
            raise Failed(error.group(1) if error else f"exit status {process.returncode}")
        times = latencies(log, mode)
        tps = float(tps.group(1))
        return Run(tps, times[len(times) // 2], times[len(times) * 99 // 100],
                   cpu * 1e6 / (tps * window) if window > 0.5 else float("nan"))
    except subprocess.TimeoutExpired:
        raise Failed("pgbench did not end") from None
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(log)


def wait_for(target):
    """After a failure a server may have to recover."""
    for _ in range(300):
        try:
            output("pg_isready", "-q", "-h", "127.0.0.1", "-p", str(target.port), "-d", "bench",
                   "-U", "bench")
            return
        except subprocess.CalledProcessError:
            time.sleep(0.1)


# ---- switching between two clients -----------------------------------------

# On one backend, so that each transaction changes hands.  What the two clients
# run, and with which options they connect.
SWITCHES = [
    ("equal clients", ["SELECT 1;"] * 2, [""] * 2),
    ("one setting differs", ["SET work_mem = '5MB';", "SET work_mem = '6MB';"], [""] * 2),
    ("one startup setting differs", ["SELECT 1;"] * 2, ["-c work_mem=5MB", "-c work_mem=6MB"]),
    ("ten settings differ", ["".join(f"SET app.s{i} = '{c}';" for i in range(10)) for c in "ab"],
     [""] * 2),
    ("one prepared statement differs", ["SELECT 1;", "SELECT 2;"], [""] * 2),
    ("currval differs", [f"SELECT nextval('switch{c}');" for c in "ab"], [""] * 2),
]


def measure_switch(target, server, scripts, options, mode):
    """Saving and restoring, in µs for each transaction that changed hands."""
    def counted():
        row = server.sql("SELECT sum(handovers), sum(extract(epoch FROM switch_time) * 1e6) "
                         "FROM pooler.stats WHERE role = 'bench'")
        return [float(n or 0) for n in row.split("|")]

    before, processes = counted(), []
    for n, (script, option) in enumerate(zip(scripts, options)):
        path = f"{WORK}/switch{n}.sql"
        with open(path, "w") as f:
            f.write(script)
        processes.append(subprocess.Popen(
            ["pgbench", "-n", "-h", "127.0.0.1", "-p", str(target.port), "-U", "bench", "-c", "1",
             "-T", str(SECONDS), "-M", mode, "-f", path, "bench"],
            env={**os.environ, "PGOPTIONS": option}, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    for process in processes:
        process.wait()
    after = counted()
    return (after[1] - before[1]) / max(after[0] - before[0], 1)


def report_switches(target, server):
    server.sql("CREATE EXTENSION IF NOT EXISTS pooler")
    server.sql("CREATE SEQUENCE switcha; CREATE SEQUENCE switchb;"
               "GRANT ALL ON SEQUENCE switcha, switchb TO bench")
    server.sql("ALTER SYSTEM SET pooler.default_pool_size = 1")
    server.sql("SELECT pg_reload_conf()")
    while server.sql("SELECT count(*) FROM pooler.backends WHERE role = 'bench'") not in "01":
        time.sleep(0.1)
    print("\n| two clients take turns on one backend | µs to save and restore, per hand-over |")
    print("| --- | --- |")
    for name, scripts, options in SWITCHES:
        mode = "prepared" if "prepared" in name else "simple"
        runs = [measure_switch(target, server, scripts, options, mode) for _ in range(ROUNDS)]
        print(f"| {name} | {statistics.median(runs):.2f} |", flush=True)


# ---- the report ------------------------------------------------------------

class Report:
    def __init__(self):
        self.runs = defaultdict(list)       # (mode, clients, target): Run or None
        self.failures = []

    def add(self, key, round_, target):
        mode, clients = key
        try:
            run = measure(target, mode, clients)
            text = f"{run.tps:.0f} tps, p50 {run.p50:.3f} ms, p99 {run.p99:.3f} ms, {run.cpu:.1f} µs"
        except Failed as e:
            run, text = None, f"failed: {e}"
            self.failures.append(f"{mode}, {clients} clients, {target.name}: {e}")
        self.runs[mode, clients, target.name].append(run)
        print(f"round {round_}: {mode}, {clients} clients, {target.name}: {text}",
              file=sys.stderr, flush=True)

    def median(self, key, target, field):
        """A number, or why there is none."""
        runs = self.runs[(*key, target)]
        if not runs:
            return "–"
        if None in runs:
            return "failed" if not any(runs) else f"failed ({runs.count(None)} of {len(runs)})"
        return statistics.median(getattr(run, field) for run in runs)

    def cell(self, key, target, field, digits):
        value = self.median(key, target, field)
        return value if isinstance(value, str) else f"{value:.{digits}f}"

    def ratio(self, key, other):
        pair = [self.median(key, target, "tps") for target in ("pooler", other)]
        return "–" if any(isinstance(v, str) for v in pair) else f"{pair[0] / pair[1]:.2f}"

    def print(self, server):
        targets = [t for t in ("direct", "pooler", "pgbouncer") if t in TARGETS]
        others = [t for t in targets if t != "pooler"] if "pooler" in targets else []
        order = " / ".join(targets)
        print_header(server)
        head = (["mode", "clients"] + [f"tps {t}" for t in targets]
                + [f"pooler ÷ {t}" for t in others]
                + [f"{what}: {order}" for what in ("p50 ms", "p99 ms", "CPU µs")])
        print(f"| {' | '.join(head)} |")
        print("|" + " --- |" * len(head))
        for key in dict.fromkeys(key[:2] for key in self.runs):
            row = ([key[0], str(key[1])] + [self.cell(key, t, "tps", 0) for t in targets]
                   + [self.ratio(key, t) for t in others]
                   + [" / ".join(self.cell(key, t, field, digits) for t in targets)
                      for field, digits in (("p50", 3), ("p99", 3), ("cpu", 1))])
            print(f"| {' | '.join(row)} |")
        if self.failures:
            print("\nFailed runs:\n")
            for failure in self.failures:
                print(f"* {failure}")


def print_header(server):
    with open("/proc/cpuinfo") as f:
        model = re.search(r"model name\s*: (.*)", f.read())
    with open("/proc/meminfo") as f:
        memory = int(f.readline().split()[1]) / 1048576
    print(f"""\
* Date: {time.strftime("%Y-%m-%d")}
* Machine: {os.cpu_count()} × {model.group(1) if model else platform.machine()}, \
{memory:.0f} GB, Linux {platform.release()}
* PostgreSQL {server.sql("SHOW server_version")}: max_connections {MAX_CONNECTIONS}, \
shared_buffers 256MB, autovacuum off""")
    if "pgbouncer" in TARGETS:
        name, version = pgbouncer_version()
        prepared = ("max_prepared_statements 200" if version >= (1, 21)
                    else "this version can't do prepared statements in transaction mode")
        print(f"* {name}: one process, transaction mode, server by Unix socket; {prepared}")
    print(f"""\
* Pools of {POOL_SIZE}; pgbench -S, scale {SCALE}, loopback TCP, trust; pgbench runs \
on the same machine
* Medians of {ROUNDS} rounds of at least {SECONDS} s; CPU is that of all server processes per \
transaction, those that ended included
* connect: pgbench -C, a new connection for each transaction; times include connecting
* tls-: the same with sslmode=require, TLS 1.3, an RSA key of 2048 bits; the others without TLS
""")


# ---- all of it -------------------------------------------------------------

def make_servers():
    plain = Server("plain")
    pooled = Server("pooled",
                    "shared_preload_libraries = 'pooler'\n"
                    f"pooler.port = {free_port()}\n"
                    "pooler.listen_addresses = '127.0.0.1'\n"
                    f"pooler.default_pool_size = {POOL_SIZE}\n"
                    f"pooler.max_client_conn = {MAX_CLIENT_CONN}\n")
    os.mkdir(f"{WORK}/sockets", 0o700)
    if with_tls():
        make_certificate()
    plain.init()
    plain.start()
    plain.sql("CREATE ROLE bench LOGIN", "postgres")
    plain.sql("CREATE DATABASE bench OWNER bench", "postgres")
    output("pgbench", "-i", "-q", "-s", str(SCALE), "-h", f"{WORK}/sockets",
           "-p", str(plain.port), "-U", "bench", "bench")
    plain.stop()
    shutil.copytree(plain.data, pooled.data)
    plain.start()
    if "pooler" in TARGETS:
        pooled.start()
    return plain, pooled


def clients_of(mode):
    if mode.endswith("connect"):
        return [CONNECT_CLIENTS]
    # to connect thousands by TLS takes longer than all that is measured
    return [n for n in CLIENTS if n <= 500 or not mode.startswith(TLS)]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bouncer = None
    plain, pooled = make_servers()
    try:
        targets = []
        if "direct" in TARGETS:
            targets.append(Target("direct", plain.port, [plain.pid]))
        if "pooler" in TARGETS:
            port = int(pooled.sql("SHOW pooler.port"))
            targets.append(Target("pooler", port, [pooled.pid]))
        if "pgbouncer" in TARGETS:
            target, bouncer = start_pgbouncer(plain)
            targets.append(target)

        targets_by_name = {target.name: target for target in targets}
        keys = [(mode, clients) for mode in MODES if mode != "switch"
                for clients in clients_of(mode)]
        report = Report()
        for target in targets:
            wait_for(target)
            try:
                measure(target, "simple", POOL_SIZE)    # fills the caches
            except Failed:
                pass                                    # as it will below
        for round_ in range(1, ROUNDS + 1):
            for key in keys:
                for target in targets:
                    if target.takes(key[1]):
                        wait_for(target)
                        report.add(key, round_, target)
            targets.append(targets.pop(0))
        report.print(plain)
        if "switch" in MODES and "pooler" in TARGETS:
            report_switches(targets_by_name["pooler"], pooled)
    finally:
        if bouncer:
            bouncer.kill()


try:
    main()
except subprocess.CalledProcessError as e:
    sys.exit(f"{e}\n{e.stdout}{e.stderr}")
