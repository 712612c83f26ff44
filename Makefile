# pooler/Makefile
#
# make, make install and make installcheck are those of any PGXS module; the
# server for installcheck needs the settings of test/pooler.conf.
#
# These do all of their own set-up, and leave installed servers alone:
#
#   make run	start a throw-away cluster with the pooler and put load on it
#   make stop	end and remove it
#   make test	build and run every test (TESTS="t/001_x.pl ..." for some)
#   make test-matrix	the same on every server that is supported, side by side
#   make bench	compare with a direct connection and with PgBouncer

PG_CONFIG ?= pg_config

MODULE_big = pooler
EXTENSION = pooler
DATA = sql/pooler--1.0.sql
DOCS = src/metrics/alerts.yml src/metrics/grafana-dashboard.json

OBJS = \
	src/auth/auth.o \
	src/auth/authorize.o \
	src/auth/catalog.o \
	src/auth/certificate.o \
	src/auth/hba_match.o \
	src/auth/hba_rules.o \
	src/auth/ident.o \
	src/auth/report.o \
	src/backend/analysis.o \
	src/backend/attach.o \
	src/backend/begin.o \
	src/backend/birth.o \
	src/backend/delegated.o \
	src/backend/duties.o \
	src/backend/ending.o \
	src/backend/give_back.o \
	src/backend/hash.o \
	src/backend/holdings.o \
	src/backend/notify.o \
	src/backend/pins.o \
	src/backend/placeholders.o \
	src/backend/plans.o \
	src/backend/procedures.o \
	src/backend/reported.o \
	src/backend/sequences.o \
	src/backend/session.o \
	src/backend/session_settings.o \
	src/backend/settings.o \
	src/backend/socket.o \
	src/backend/sslinfo.o \
	src/backend/startup_settings.o \
	src/backend/statements.o \
	src/backend/system_user.o \
	src/backend/tally.o \
	src/backend/take.o \
	src/backend/temp_buffers.o \
	src/backend/unnamed.o \
	src/backend/wait.o \
	src/backend/walsender.o \
	src/backend/word.o \
	src/console/set_setting.o \
	src/import/parameters.o \
	src/import/pgbouncer.o \
	src/pooler.o \
	src/proto/build.o \
	src/proto/console.o \
	src/proto/errors.o \
	src/proto/extended.o \
	src/proto/frame.o \
	src/proto/host.o \
	src/proto/pairs.o \
	src/proto/password.o \
	src/proto/startup.o \
	src/shared/address.o \
	src/shared/area.o \
	src/shared/control.o \
	src/shared/debug_point.o \
	src/shared/ending.o \
	src/shared/evict.o \
	src/shared/guc.o \
	src/shared/health.o \
	src/shared/health_rules.o \
	src/shared/histogram.o \
	src/shared/hold.o \
	src/shared/json.o \
	src/shared/leak.o \
	src/shared/lists.o \
	src/shared/pin.o \
	src/shared/pool_count.o \
	src/shared/queue.o \
	src/shared/recent.o \
	src/shared/registry.o \
	src/shared/request.o \
	src/shared/session.o \
	src/shared/setting_list.o \
	src/shared/shmem.o \
	src/shared/snapshot.o \
	src/shared/stats.o \
	src/shared/stopping.o \
	src/shared/text.o \
	src/shared/tls.o \
	src/sql/advice.o \
	src/sql/control.o \
	src/sql/ddl.o \
	src/sql/holdings.o \
	src/sql/leaks.o \
	src/sql/rows.o \
	src/sql/import.o \
	src/sql/import_databases.o \
	src/sql/import_parameters.o \
	src/sql/import_rows.o \
	src/sql/health.o \
	src/sql/stats.o \
	src/sql/version.o \
	src/sql/views.o \
	src/tls/connection.o \
	src/tls/context.o \
	src/tls/handshake.o \
	src/tls/left_behind.o \
	src/tls/link.o \
	src/tls/main.o \
	src/tls/names.o \
	src/tls/passphrase.o \
	src/tls/relay.o \
	src/tls/wire.o \
	src/worker/admin.o \
	src/worker/averages.o \
	src/worker/backend.o \
	src/worker/birth.o \
	src/worker/cancel.o \
	src/worker/client.o \
	src/worker/console.o \
	src/worker/console_commands.o \
	src/worker/console_leaks.o \
	src/worker/console_messages.o \
	src/worker/console_rows.o \
	src/worker/console_set.o \
	src/worker/console_show.o \
	src/worker/console_sockets.o \
	src/worker/console_stats.o \
	src/worker/dispatch.o \
	src/worker/ending.o \
	src/worker/leak.o \
	src/worker/leak_end.o \
	src/worker/leak_find.o \
	src/worker/leak_group.o \
	src/worker/leak_report.o \
	src/worker/limits.o \
	src/worker/listener.o \
	src/worker/login.o \
	src/worker/login_alias.o \
	src/worker/login_console.o \
	src/worker/login_guard.o \
	src/worker/login_io.o \
	src/worker/login_settings.o \
	src/worker/login_startup.o \
	src/worker/login_tls.o \
	src/worker/main.o \
	src/worker/parameters.o \
	src/worker/pool.o \
	src/worker/probe.o \
	src/worker/overrun.o \
	src/worker/quit.o \
	src/worker/report.o \
	src/worker/tally.o \
	src/worker/replication.o \
	src/worker/requests.o \
	src/worker/stall.o \
	src/worker/tcp_progress.o \
	src/worker/timeout.o \
	src/worker/tls.o

# HTTP needs libmicrohttpd; NO_HTTP=1 does without also where it is installed.
HTTP_OBJS = \
	src/metrics/collect.o \
	src/metrics/escape.o \
	src/metrics/http.o \
	src/metrics/listen.o \
	src/metrics/main.o \
	src/metrics/page.o \
	src/metrics/prometheus.o \
	src/metrics/series.o \
	src/metrics/status.o
NO_HTTP_OBJS = src/metrics/absent.o
have_http := $(if $(NO_HTTP),,$(shell printf '\043include <microhttpd.h>\n' | \
	$(or $(CC),cc) $(CPPFLAGS) -E - >/dev/null 2>&1 && echo yes))
OBJS += $(if $(have_http),$(HTTP_OBJS),$(NO_HTTP_OBJS))

# Programs of unit tests and libFuzzer harnesses, without the .c
UNIT_TESTS = \
	test/unit/test_build \
	test/unit/test_console \
	test/unit/test_escape \
	test/unit/test_extended \
	test/unit/test_frame \
	test/unit/test_health \
	test/unit/test_histogram \
	test/unit/test_host \
	test/unit/test_import \
	test/unit/test_leak \
	test/unit/test_names \
	test/unit/test_pairs \
	test/unit/test_password \
	test/unit/test_recent \
	test/unit/test_startup \
	test/unit/test_state \
	test/unit/test_text
FUZZERS = \
	test/fuzz/fuzz_build \
	test/fuzz/fuzz_console \
	test/fuzz/fuzz_extended \
	test/fuzz/fuzz_frame \
	test/fuzz/fuzz_host \
	test/fuzz/fuzz_import \
	test/fuzz/fuzz_names \
	test/fuzz/fuzz_pairs \
	test/fuzz/fuzz_password \
	test/fuzz/fuzz_startup \
	test/fuzz/fuzz_text

# What both are linked with: all that needs no server.
PURE_OBJS = \
	$(filter src/import/% src/proto/% src/shared/health_rules.% src/shared/histogram.% \
	src/shared/leak.% src/shared/recent.% src/shared/text.% src/tls/names.%,$(OBJS)) \
	src/metrics/escape.o

# pg_regress looks for expected/ in its output directory, which is this one.
REGRESS = $(notdir $(basename $(sort $(wildcard $(srcdir)/test/sql/*.sql))))
REGRESS_OPTS = --inputdir=$(srcdir)/test
TAP_TESTS = 1
PROVE_TESTS = test/t/*.pl
PROVE_FLAGS += -I test/t

# -MMD: Debian's PGXS does not track which headers an object was made from.
PG_CPPFLAGS = -I$(srcdir)/src -I.build/include -MMD -MP
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter

# Servers before 16 build modules without -fvisibility=hidden, so the linker
# has to restrict what is exported.  Calls inside the library stay direct.
SHLIB_LINK = $(if $(have_http),-lmicrohttpd) \
	-Wl,--version-script=$(srcdir)/src/pooler.map -Wl,-Bsymbolic-functions

# What the server itself is linked with for TLS, if it is.
SHLIB_LINK += $(filter -lssl -lcrypto,$(LIBS))

# No code of ours could be inlined into a query's: spare us clang's bitcode.
override with_llvm = no

EXTRA_CLEAN = .build $(OBJS:.o=.d) $(HTTP_OBJS) $(NO_HTTP_OBJS)

all:

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)

include $(PGXS)

$(shlib): $(srcdir)/src/pooler.map
$(OBJS) $(NO_HTTP_OBJS): $(srcdir)/Makefile
# for a build in another directory (make -f .../Makefile VPATH=...)
$(shell $(MKDIR_P) $(sort $(dir $(OBJS))))

# Everything else is compiled below .build, for each purpose in a directory of
# its own: unit tests, fuzzers and the pure code with sanitizers, and all
# sources by both compilers with warnings as errors.

CLANG := $(or $(CLANG),clang)
own_cflags = -std=gnu99 -O2 -g -fPIC -fno-strict-aliasing -fwrapv -Wall -Wextra \
	-Wno-unused-parameter -Wmissing-prototypes -Wpointer-arith \
	-Wdeclaration-after-statement -Wvla -Wendif-labels -Wformat-security
sanitize = -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all

unit_programs = $(UNIT_TESTS:%=.build/unit/%)
unit_assert = .build/unit/test/unit/assert.o
unit_objs = $(addprefix .build/unit/,$(UNIT_TESTS:=.o) $(PURE_OBJS)) $(unit_assert)
fuzz_programs = $(FUZZERS:%=.build/fuzz/%)
fuzz_objs = $(addprefix .build/fuzz/,$(FUZZERS:=.o) $(PURE_OBJS))
strict_objs = $(foreach dir,gcc clang, \
	$(addprefix .build/$(dir)/,$(sort $(OBJS) $(NO_HTTP_OBJS)) $(UNIT_TESTS:=.o) $(FUZZERS:=.o)))

# $(call compile,directory,compiler and flags)
define compile
.build/$(1)/%.o: %.c $(srcdir)/Makefile
	@$$(MKDIR_P) $$(@D)
	$(2) $$(CPPFLAGS) -c -o $$@ $$<
endef
$(eval $(call compile,unit,$(CC) $(own_cflags) $(sanitize)))
$(eval $(call compile,fuzz,$(CLANG) $(own_cflags) $(sanitize) -fsanitize=fuzzer-no-link \
	-Wno-ignored-attributes))
$(eval $(call compile,gcc,gcc $(own_cflags) -Werror))
# Headers configured for gcc have a printf attribute that clang does not know.
$(eval $(call compile,clang,$(CLANG) $(own_cflags) -Werror -Wno-ignored-attributes))

# The page as arrays of bytes, without what only we need: indentation, comments,
# and blanks in styles.
page_files = $(addprefix $(srcdir)/src/metrics/,page.html page.js page.css)
shorten = sed -e '/^\/\*.*\*\/$$/d' -e '/^\/\*/,/\*\//d' -e 's/^[[:blank:]]*//' \
	-e 's/\(^\|[[:blank:]]\{1,\}\)\/\/ .*//' -e '/^$$/d'
shorten_css = sed -e 's/: /:/g' -e 's/, /,/g' -e 's/; /;/g' -e 's/ *\([{}]\) */\1/g' -e 's/;}/}/g' | tr -d '\n'
.build/include/page_files.h: $(page_files) $(srcdir)/Makefile
	@$(MKDIR_P) $(@D)
	for file in $(page_files); do \
		name=$${file##*/} && \
		echo "static const unsigned char $${name%.*}_$${name##*.}[] = {" && \
		$(shorten) $$file | \
			case $$name in *.css) $(shorten_css) ;; *) cat ;; esac | \
			od -An -v -tu1 | sed -e 's/  */,/g' -e 's/^,//' -e 's/$$/,/' && \
		echo '};' || exit 1; \
	done >$@.new
	mv $@.new $@
$(filter %src/metrics/page.o,$(OBJS) $(strict_objs)): .build/include/page_files.h

# Archives, so that a program gets only what it uses.
.build/%/pure.a: $(addprefix .build/%/,$(PURE_OBJS))
	rm -f $@
	$(AR) rcs $@ $^

$(unit_programs): %: %.o .build/unit/pure.a $(unit_assert)
	$(CC) $(sanitize) -o $@ $^ -L$(pkglibdir) -L$(libdir) -lpgcommon -lpgport -lm \
		$(filter -lssl -lcrypto,$(LIBS))

$(fuzz_programs): %: %.o .build/fuzz/pure.a
	$(CLANG) $(sanitize) -fsanitize=fuzzer -o $@ $^ -L$(pkglibdir) -L$(libdir) \
		-lpgcommon -lpgport $(filter -lssl -lcrypto,$(LIBS))

check-unit: $(unit_programs)
	$(PROVE) --exec '' $(unit_programs)

list-unit-tests:
	@echo $(UNIT_TESTS)

# Every fuzzer runs for FUZZ_SECONDS, a few in make test.  What it finds is kept
# below .build; test/fuzz/x is what fuzz_x starts from.
FUZZ_SECONDS = 60
check-fuzz: $(fuzz_programs)
	for fuzzer in $(fuzz_programs); do \
		$(MKDIR_P) $${fuzzer}_found && \
		$$fuzzer -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 -verbosity=0 \
			-artifact_prefix=.build/fuzz/ $${fuzzer}_found \
			$$(find $(srcdir)/test/fuzz/$${fuzzer##*/fuzz_} -maxdepth 0 2>/dev/null) || \
			exit 1; \
	done

check-warnings: $(strict_objs)

# .clang-tidy says what is looked for.  cppcheck sees no headers of the server,
# and so not what its macros do.
check-analysis: $(OBJS:%.o=.build/tidy/%)
	cppcheck -q --enable=warning,performance,portability --std=c99 \
		--inline-suppr --error-exitcode=1 -I$(srcdir)/src $(srcdir)/src

.build/tidy/%: %.c $(srcdir)/.clang-tidy
	@$(MKDIR_P) $(@D)
	clang-tidy --quiet --config-file=$(srcdir)/.clang-tidy $< -- $(own_cflags) $(CPPFLAGS) -w 2>$@.log || \
		{ cat $@.log; false; }
	@touch $@

check-model:
	$(srcdir)/test/tools/check_model.sh

# pgindent comes with PostgreSQL 17 and later.
format:
	PG_CONFIG="$(PG_CONFIG)" $(srcdir)/test/tools/format.sh

check-format:
	PG_CONFIG="$(PG_CONFIG)" $(srcdir)/test/tools/format.sh --check

# What the library exports, and all that its objects share with each other.
check-symbols: all
	{ nm -D --defined-only $(shlib); nm -g --defined-only $(OBJS); } | awk ' \
		NF == 3 { seen[$$3] = 1 } \
		NF == 3 && $$3 !~ /^(_PG_init|Pg_magic_func|(pg_finfo_)?pooler_.*)$$/ \
			{ print "not ours to define: " $$3; bad = 1 } \
		END { exit bad || !seen["_PG_init"] || !seen["Pg_magic_func"] }'

# As NO_HTTP=1 would link it: nothing may be missing.
check-no-http: all $(NO_HTTP_OBJS)
	$(MKDIR_P) .build
	$(CC) -shared -o .build/no_http.so $(sort $(filter-out $(HTTP_OBJS),$(OBJS)) $(NO_HTTP_OBJS))
	! nm -D --undefined-only .build/no_http.so | grep -E ' (pooler|MHD)_'

-include $(patsubst %.o,%.d,$(OBJS) $(strict_objs) $(unit_objs) $(fuzz_objs))

.PHONY: check-unit list-unit-tests check-fuzz check-warnings check-analysis \
	check-model check-no-http check-symbols check-format format
.SECONDARY: $(unit_objs) $(fuzz_objs)

else

all install installcheck clean:
	@echo "$(PG_CONFIG) of a PostgreSQL with server headers is needed (make run and make test install it)" >&2
	@false

endif

run:
	@test/tools/run.sh start
stop:
	@test/tools/run.sh stop
test:
	@test/tools/test.sh
test-matrix:
	@test/tools/matrix.sh
bench:
	@test/bench/bench.sh

.PHONY: all run stop test test-matrix bench
