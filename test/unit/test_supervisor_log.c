/* The log: format, levels, rolling, captured records of workers, storms, the audit file. Rows
 * H35–H39, M20. The loop is run by hand. */
#include <fcntl.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
#include "clock.h"
#include "log_sink.h"
#include "mem.h"
#include "supervisor.h"

struct fixture {
        struct supervisor s;
        char dir[32];
        char *path;
};

static void open_log(struct fixture *f, const char *const *settings)
{
        memset(f, 0, sizeof *f);
        (void)strcpy(f->dir, "/tmp/test-log-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        f->path = mem_printf("%s/agent.log", f->dir);
        assert_int_equal(uv_loop_init(&f->s.loop), 0);
        f->s.config = config_new();
        config_set(f->s.config, "ECS_LOGFILE", f->path);
        config_set(f->s.config, "ECS_LOGLEVEL", "none");
        config_set(f->s.config, "ECS_LOGLEVEL_ON_INSTANCE", "info");
        for (; settings != NULL && settings[0] != NULL; settings += 2)
                config_set(f->s.config, settings[0], settings[1]);
        assert_int_equal(log_writer_open(&f->s), 0);
}

static void close_log(struct fixture *f)
{
        log_writer_close(&f->s);
        (void)uv_run(&f->s.loop, UV_RUN_DEFAULT);
        assert_int_equal(uv_loop_close(&f->s.loop), 0);
        config_free(f->s.config);
}

static void remove_all(struct fixture *f)
{
        glob_t g;
        cleanup_free char *pattern = mem_printf("%s/*", f->dir);
        if (glob(pattern, 0, NULL, &g) == 0) {
                for (size_t i = 0; i < g.gl_pathc; i++)
                        (void)unlink(g.gl_pathv[i]);
                globfree(&g);
        }
        (void)rmdir(f->dir);
        free(f->path);
}

static char *read_log(const struct fixture *f)
{
        static char text[65536];
        cleanup_file FILE *file = fopen(f->path, "re");
        text[file != NULL ? fread(text, 1, sizeof text - 1, file) : 0] = '\0';
        return text;
}

static size_t count_rolled(const struct fixture *f)
{
        glob_t g;
        size_t n = 0;
        cleanup_free char *pattern = mem_printf("%s.*", f->path);
        if (glob(pattern, 0, NULL, &g) == 0) {
                n = g.gl_pathc;
                globfree(&g);
        }
        return n;
}

/* Rolling is decided where the write happens, so each line is written before the next. */
static void write_lines(struct fixture *f, int count)
{
        static int number; /* no line is like the one before */
        for (int i = 0; i < count; i++) {
                log_info(NULL, "a line that is about one hundred bytes long, with its fields",
                         LOG_INT("number", number++));
                (void)uv_run(&f->s.loop, UV_RUN_DEFAULT);
        }
}

static void make_file(const struct fixture *f, const char *suffix, off_t size)
{
        cleanup_free char *path = mem_printf("%s%s", f->path, suffix);
        cleanup_file FILE *file = fopen(path, "we");
        assert_non_null(file);
        assert_int_equal(ftruncate(fileno(file), size), 0);
}

static bool exists(const struct fixture *f, const char *suffix)
{
        cleanup_free char *path = mem_printf("%s%s", f->path, suffix);
        return access(path, F_OK) == 0;
}

/* H35: 5,000,000 bytes, numbers that grow, 24 kept. */
static void defaults_are_those_documented(void **state)
{
        static const struct {
                off_t size;
                bool rolled;
        } cases[] = {{4999999, false}, {5000000, true}};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fixture f;
                open_log(&f, NULL);
                for (int n = 1; n <= 30; n++) {
                        char suffix[8];
                        (void)snprintf(suffix, sizeof suffix, ".%d", n);
                        make_file(&f, suffix, 10);
                }
                make_file(&f, "", cases[i].size);
                write_lines(&f, 1);
                close_log(&f);
                assert_int_equal(exists(&f, ".31"), cases[i].rolled);
                assert_int_equal(count_rolled(&f), cases[i].rolled ? 24 : 30);
                assert_int_equal(exists(&f, ".7"), !cases[i].rolled);
                assert_true(exists(&f, ".8"));
                remove_all(&f);
        }
}

/* Lines that came together are still parted at the limit. */
static void one_batch_is_rolled_line_by_line(void **state)
{
        static const char *const settings[] = {"ECS_LOG_MAX_FILE_SIZE_MB", "0.001", NULL};
        struct fixture f;
        struct stat st;
        (void)state;
        open_log(&f, settings);
        for (int i = 0; i < 100; i++)
                log_info(NULL, "a line that is about one hundred bytes long, with its fields",
                         LOG_INT("number", i));
        close_log(&f);
        for (size_t n = 1, count = count_rolled(&f); n <= count; n++) {
                cleanup_free char *path = mem_printf("%s.%zu", f.path, n);
                assert_int_equal(stat(path, &st), 0);
                assert_true(st.st_size >= 1000 && st.st_size < 1200);
        }
        assert_true(count_rolled(&f) > 8);
        remove_all(&f);
}

/* H36: named after the local hour that ended; only so many are kept. */
static void hours_are_rolled_in_local_time(void **state)
{
        static const char *const settings[] = {"ECS_LOG_ROLLOVER_TYPE", "hourly",
                                               "ECS_LOG_MAX_ROLL_COUNT", "2", NULL};
        struct fixture f;
        char stamp[32];
        (void)state;
        (void)setenv("TZ", "EST5", 1); /* five hours behind UTC */
        tzset();
        open_log(&f, settings);
        for (int hours = 5; hours > 0; hours--) {
                time_t then = time(NULL) - hours * 3600L;
                struct tm tm;
                make_file(&f, "", 10);
                const struct timespec times[2] = {{then, 0}, {then, 0}};
                assert_int_equal(utimensat(AT_FDCWD, f.path, times, 0), 0);
                write_lines(&f, 1);
                (void)localtime_r(&then, &tm);
                (void)strftime(stamp, sizeof stamp, ".%Y-%m-%d-%H", &tm);
                assert_true(exists(&f, stamp));
        }
        write_lines(&f, 2); /* the present hour stays */
        close_log(&f);
        assert_int_equal(count_rolled(&f), 2);
        remove_all(&f);
        (void)unsetenv("TZ");
        tzset();
}

/* H35 and the storm: an hour of errors, scaled, of every kind. */
static void a_storm_stays_within_the_size(void **state)
{
        static const char *const settings[] = {"ECS_LOG_MAX_FILE_SIZE_MB", "0.01",
                                               "ECS_LOG_MAX_ROLL_COUNT", "4", NULL};
        struct fixture f;
        struct stat st;
        off_t total = 0;
        (void)state;
        clock_set_scale(3600);
        open_log(&f, settings);
        uint64_t until = clock_now_ms() + 1000;
        for (int i = 0; clock_now_ms() < until; i++) {
                log_error(NULL, "the same error");
                log_error(NULL, "an error that differs", LOG_INT("number", i));
                log_writer_line(&f.s, "engine", "level=error msg=\"past every limit\"");
                if (i % 100 == 0)
                        (void)uv_run(&f.s.loop, UV_RUN_NOWAIT);
        }
        close_log(&f);
        clock_set_scale(1);
        glob_t g;
        cleanup_free char *pattern = mem_printf("%s*", f.path);
        assert_int_equal(glob(pattern, 0, NULL, &g), 0);
        for (size_t i = 0; i < g.gl_pathc; i++) {
                assert_int_equal(stat(g.gl_pathv[i], &st), 0);
                total += st.st_size;
        }
        assert_int_equal(g.gl_pathc, 5);
        assert_true(total <= 5L * (10000 + 200));
        globfree(&g);
        remove_all(&f);
}

/* A queue that is full costs lines; the next that fits says how many. */
static void lost_lines_are_told(void **state)
{
        struct fixture f;
        (void)state;
        open_log(&f, NULL);
        char line[8000];
        (void)memset(line, 'x', sizeof line - 1);
        memcpy(line, "level=info msg=", strlen("level=info msg="));
        line[sizeof line - 1] = '\0';
        for (int i = 0; i < 400; i++) /* the loop does not run: nothing is written meanwhile */
                log_writer_line(&f.s, "engine", line);
        for (int i = 0; log_writer_queued(&f.s) > 0 && i < 1000; i++) {
                (void)uv_run(&f.s.loop, UV_RUN_NOWAIT);
                (void)usleep(1000);
        }
        log_writer_line(&f.s, "engine", "level=info msg=after");
        close_log(&f);
        cleanup_file FILE *file = fopen(f.path, "re");
        char last[128] = "";
        assert_int_equal(fseek(file, -100, SEEK_END), 0);
        last[fread(last, 1, sizeof last - 1, file)] = '\0';
        const char *dropped = strstr(last, "msg=after dropped=");
        assert_non_null(dropped);
        unsigned long n = strtoul(dropped + strlen("msg=after dropped="), NULL, 10);
        assert_true(n > 100 && n < 400);
        remove_all(&f);
}

/* The loop goes on and ends while nobody reads standard error. */
static void a_reader_that_stops_holds_nobody(void **state)
{
        int pipes[2];
        (void)state;
        assert_int_equal(pipe(pipes), 0);
        pid_t pid = fork();
        if (pid == 0) {
                static const char *const settings[] = {"ECS_LOGLEVEL", "info", NULL};
                struct fixture f;
                (void)dup2(pipes[1], STDERR_FILENO);
                open_log(&f, settings);
                for (int i = 0; i < 2000; i++) {
                        log_writer_line(&f.s, "engine", "level=info msg=\"fills the pipe soon\"");
                        (void)uv_run(&f.s.loop, UV_RUN_NOWAIT);
                }
                log_writer_close(&f.s);
                _exit(strstr(read_log(&f), "fills the pipe") != NULL ? 0 : 3);
        }
        int status = 0;
        for (int i = 0; i < 200 && waitpid(pid, &status, WNOHANG) == 0; i++)
                (void)usleep(100000);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
}

static void old_files_beyond_the_count_go(void **state)
{
        static const char *const settings[] = {"ECS_LOG_MAX_FILE_SIZE_MB", "0.0005",
                                               "ECS_LOG_MAX_ROLL_COUNT", "3", NULL};
        struct fixture f;
        struct stat st;
        (void)state;
        open_log(&f, settings);
        write_lines(&f, 100);
        close_log(&f);
        assert_int_equal(count_rolled(&f), 3);
        assert_int_equal(stat(f.path, &st), 0);
        assert_true(st.st_size < 1000);
        remove_all(&f);
}

static void count_zero_keeps_all(void **state)
{
        static const char *const settings[] = {"ECS_LOG_MAX_FILE_SIZE_MB", "0.0005",
                                               "ECS_LOG_MAX_ROLL_COUNT", "0", NULL};
        struct fixture f;
        (void)state;
        open_log(&f, settings);
        write_lines(&f, 60);
        close_log(&f);
        assert_true(count_rolled(&f) > 8);
        remove_all(&f);
}

static void type_none_never_rolls(void **state)
{
        static const char *const settings[] = {"ECS_LOG_MAX_FILE_SIZE_MB", "0.0005",
                                               "ECS_LOG_ROLLOVER_TYPE", "none", NULL};
        struct fixture f;
        (void)state;
        open_log(&f, settings);
        write_lines(&f, 30);
        close_log(&f);
        assert_int_equal(count_rolled(&f), 0);
        remove_all(&f);
}

static void lines_have_level_time_worker(void **state)
{
        struct fixture f;
        (void)state;
        open_log(&f, NULL);
        log_info(NULL, "hello there", LOG_STR("text", "a \"quoted\" word"), LOG_INT("n", 7));
        log_debug(NULL, "below the level");
        close_log(&f);
        const char *text = read_log(&f);
        assert_ptr_equal(strstr(text, "level=info time=20"), text);
        assert_non_null(strstr(text, "Z worker=supervisor msg=\"hello there\" "));
        assert_non_null(strstr(text, " n=7\n"));
        assert_null(strstr(text, "below the level"));
        remove_all(&f);
}

/* H38: both sinks know the word. The other one is standard error, silent here. */
static void levels_of_the_file(void **state)
{
        static const struct {
                const char *level, *on_instance;
                bool error, critical;
        } cases[] = {
                {"crit", "", false, true}, {"CRIT", "", false, true},  {"none", "", false, false},
                {"none", "crit", false, true}, {"none", "error", true, true},
        };
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                const char *const settings[] = {"ECS_LOGLEVEL", cases[i].level,
                                                "ECS_LOGLEVEL_ON_INSTANCE", cases[i].on_instance,
                                                NULL};
                struct fixture f;
                open_log(&f, settings);
                log_error(NULL, "an error", LOG_INT("case", i));
                log_crit(NULL, "all is lost", LOG_INT("case", i));
                close_log(&f);
                assert_int_equal(strstr(read_log(&f), "an error") != NULL, cases[i].error);
                assert_int_equal(strstr(read_log(&f), "all is lost") != NULL, cases[i].critical);
                remove_all(&f);
        }
        log_set_level(LOG_LEVEL_INFO);
}

/* What 'ecsctl loglevel' does. */
static void a_level_by_hand_is_for_one_process(void **state)
{
        struct fixture f;
        (void)state;
        open_log(&f, NULL);
        assert_int_equal(log_writer_level(&f.s, "engine"), LOG_LEVEL_INFO);
        log_writer_override(&f.s, "engine", LOG_LEVEL_DEBUG);
        assert_int_equal(log_writer_level(&f.s, "engine"), LOG_LEVEL_DEBUG);
        log_writer_line(&f.s, "engine", "level=debug msg=\"of the engine\"");
        log_writer_line(&f.s, "backend", "level=debug msg=\"of the backend\"");
        close_log(&f);
        assert_non_null(strstr(read_log(&f), "of the engine"));
        assert_null(strstr(read_log(&f), "of the backend"));
        remove_all(&f);
}

static void json_lines_parse(void **state)
{
        static const char *const settings[] = {"ECS_LOG_OUTPUT_FORMAT", "json", NULL};
        struct fixture f;
        (void)state;
        open_log(&f, settings);
        log_warn(NULL, "hello \"there\"\n", LOG_STR("path", "a\\b"));
        close_log(&f);
        cleanup_json json_t *o = json_loads(read_log(&f), 0, NULL);
        assert_non_null(o);
        assert_string_equal(json_string_value(json_object_get(o, "level")), "warn");
        assert_string_equal(json_string_value(json_object_get(o, "msg")), "hello \"there\"\n");
        assert_string_equal(json_string_value(json_object_get(o, "path")), "a\\b");
        remove_all(&f);
}

static void a_log_driver_silences_the_file(void **state)
{
        static const char *const settings[] = {"ECS_LOGLEVEL_ON_INSTANCE", "", "ECS_LOG_DRIVER",
                                               "journald", NULL};
        struct fixture f;
        (void)state;
        open_log(&f, settings);
        log_error(NULL, "not for the file");
        close_log(&f);
        assert_string_equal(read_log(&f), "");
        remove_all(&f);
}

/* H39: …unless it has a level of its own, or the other output is not heard by anybody. */
static void the_file_speaks_where_nothing_else_does(void **state)
{
        static const char *const own_level[] = {"ECS_LOGLEVEL", "info", "ECS_LOG_DRIVER",
                                                "journald", NULL};
        static const char *const alone[] = {"ECS_LOGLEVEL", "info", "ECS_LOGLEVEL_ON_INSTANCE", "",
                                            "ECS_LOG_DRIVER", "journald", NULL};
        const char *const *cases[] = {own_level, alone};
        (void)state;
        int kept = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
        (void)dup2(null, STDERR_FILENO);
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fixture f;
                open_log(&f, cases[i]);
                log_error(NULL, "for the file");
                close_log(&f);
                assert_non_null(strstr(read_log(&f), "for the file"));
                remove_all(&f);
        }
        (void)dup2(kept, STDERR_FILENO);
        (void)close(kept);
        (void)close(null);
}

/* A worker that was taken over cannot write lines in another's name. */
static void records_are_one_line(void **state)
{
        static const char record[] = "4level=info msg=\"a\"\nlevel=error msg=forged";
        struct fixture f;
        int records[2];
        (void)state;
        open_log(&f, NULL);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, records), 0);
        (void)log_source_new(&f.s, "engine", records[0], true);
        assert_true(send(records[1], record, sizeof record - 1, 0) > 0);
        (void)close(records[1]);
        (void)uv_run(&f.s.loop, UV_RUN_DEFAULT);
        close_log(&f);
        assert_null(strstr(read_log(&f), "\nlevel=error"));
        remove_all(&f);
}

/* One worker gone wild; what it says too much is counted. */
static void a_source_has_a_budget(void **state)
{
        static const char line[] = "again\n";
        struct fixture f;
        int raw[2];
        (void)state;
        open_log(&f, NULL);
        assert_int_equal(pipe(raw), 0);
        assert_true(fcntl(raw[1], F_SETPIPE_SZ, 1 << 20) > 0);
        (void)log_source_new(&f.s, "engine", raw[0], false);
        for (int i = 0; i < 4000; i++)
                assert_true(write(raw[1], line, sizeof line - 1) > 0);
        (void)close(raw[1]);
        (void)uv_run(&f.s.loop, UV_RUN_DEFAULT);
        close_log(&f);
        cleanup_file FILE *file = fopen(f.path, "re");
        char text[512];
        unsigned lines = 0, suppressed = 0;
        while (fgets(text, sizeof text, file) != NULL) {
                const char *p = strstr(text, "says too much");
                lines += strstr(text, "text=again") != NULL;
                if (p != NULL && strstr(p, "suppressed=") != NULL)
                        suppressed += (unsigned)strtoul(strstr(p, "suppressed=") + 11, NULL, 10);
        }
        assert_int_equal(lines + suppressed, 4000);
        assert_true(lines >= 2000 && suppressed > 0);
        remove_all(&f);
}

/* M20: size; hourly for anything else, "none" too. */
static void the_audit_file_rolls(void **state)
{
        static const struct {
                const char *type;
                const char *rolled;
        } cases[] = {{"size", ".3"}, {"none", ".2001-09-0?-??"}};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct fixture f;
                char line[64];
                open_log(&f, NULL);
                cleanup_free char *path = mem_printf("%s/audit.log", f.dir);
                config_set(f.s.config, "ECS_AUDIT_LOGFILE", path);
                config_set(f.s.config, "ECS_LOG_ROLLOVER_TYPE", cases[i].type);
                config_set(f.s.config, "ECS_LOG_MAX_FILE_SIZE_MB", "0.0001");
                cleanup_file FILE *old = fopen(path, "we");
                assert_true(fputs("an old line\n", old) > 0 && fflush(old) == 0);
                const struct timespec times[2] = {{1000000000, 0}, {1000000000, 0}};
                assert_int_equal(futimens(fileno(old), times), 0);
                audit_log_open(&f.s);
                for (int n = 0; n < 10; n++) {
                        (void)snprintf(line, sizeof line, "an audit line of forty bytes, nr. %d", n);
                        assert_true(log_sink_put(f.s.audit, line, strlen(line)));
                }
                audit_log_close(&f.s);
                close_log(&f);
                cleanup_free char *pattern = mem_printf("%s%s", path, cases[i].rolled);
                glob_t g;
                assert_int_equal(glob(pattern, 0, NULL, &g), 0);
                globfree(&g);
                remove_all(&f);
        }
}

static void records_and_output_of_a_worker_carry_its_name(void **state)
{
        static const char record[] = "4level=info msg=\"from the worker\"";
        static const char output[] = "==1==ERROR: something\npartial";
        struct fixture f;
        int records[2], raw[2];
        (void)state;
        open_log(&f, NULL);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, records), 0);
        assert_int_equal(pipe(raw), 0);
        (void)log_source_new(&f.s, "engine", records[0], true);
        (void)log_source_new(&f.s, "engine", raw[0], false);
        assert_true(send(records[1], record, sizeof record - 1, 0) > 0);
        assert_true(write(raw[1], output, sizeof output - 1) > 0);
        (void)close(records[1]);
        (void)close(raw[1]);
        (void)uv_run(&f.s.loop, UV_RUN_DEFAULT);
        close_log(&f);
        const char *text = read_log(&f);
        assert_non_null(strstr(text, "worker=engine msg=\"from the worker\""));
        assert_non_null(strstr(text, "from=engine text=\"==1==ERROR: something\""));
        assert_non_null(strstr(text, "text=partial"));
        remove_all(&f);
}

/* /dev/full takes no byte. The other sink is silent here, so the notice is what is looked at. */
static void a_full_disk_is_told_once_and_costs_counted_lines(void **state)
{
        static const char *const settings[] = {"ECS_LOGFILE", "/dev/full", NULL};
        struct fixture f;
        (void)state;
        open_log(&f, settings);
        for (int i = 0; i < 3; i++) {
                log_info(NULL, "lost");
                while (uv_run(&f.s.loop, UV_RUN_ONCE) != 0)
                        ;
        }
        assert_non_null(f.s.notices);
        assert_null(f.s.notices->next);
        assert_true(f.s.notices->passing);
        assert_non_null(strstr(f.s.notices->text, "No space left on device"));
        notice_free_all(&f.s);
        close_log(&f);
        remove_all(&f);
}

static void lines_lost_are_counted_on_the_next(void **state)
{
        struct fixture f;
        (void)state;
        open_log(&f, NULL);
        assert_int_equal(mkdir(f.path, 0700), 0); /* no file can be opened there */
        log_info(NULL, "first");
        log_info(NULL, "second");
        while (uv_run(&f.s.loop, UV_RUN_ONCE) != 0)
                ;
        assert_non_null(f.s.notices);
        assert_int_equal(rmdir(f.path), 0);
        log_info(NULL, "third");
        while (uv_run(&f.s.loop, UV_RUN_ONCE) != 0)
                ;
        assert_null(f.s.notices);
        close_log(&f);
        const char *text = read_log(&f);
        assert_null(strstr(text, "first"));
        assert_non_null(strstr(text, "msg=third dropped="));
        remove_all(&f);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(defaults_are_those_documented),
                cmocka_unit_test(one_batch_is_rolled_line_by_line),
                cmocka_unit_test(hours_are_rolled_in_local_time),
                cmocka_unit_test(a_storm_stays_within_the_size),
                cmocka_unit_test(lost_lines_are_told),
                cmocka_unit_test(a_reader_that_stops_holds_nobody),
                cmocka_unit_test(levels_of_the_file),
                cmocka_unit_test(a_level_by_hand_is_for_one_process),
                cmocka_unit_test(the_file_speaks_where_nothing_else_does),
                cmocka_unit_test(records_are_one_line),
                cmocka_unit_test(a_source_has_a_budget),
                cmocka_unit_test(the_audit_file_rolls),
                cmocka_unit_test(old_files_beyond_the_count_go),
                cmocka_unit_test(count_zero_keeps_all),
                cmocka_unit_test(type_none_never_rolls),
                cmocka_unit_test(lines_have_level_time_worker),
                cmocka_unit_test(json_lines_parse),
                cmocka_unit_test(a_log_driver_silences_the_file),
                cmocka_unit_test(records_and_output_of_a_worker_carry_its_name),
                cmocka_unit_test(a_full_disk_is_told_once_and_costs_counted_lines),
                cmocka_unit_test(lines_lost_are_counted_on_the_next),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
