/* The log file: format, levels, rolling by size, captured records of workers. Rows H35, H37, H38,
 * H39. The loop is run by hand. */
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
#include <unistd.h>

#include <cmocka.h>

#include "cleanup.h"
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
        for (int i = 0; i < count; i++) {
                log_info(NULL, "a line that is about one hundred bytes long, with its fields",
                         LOG_INT("number", i));
                (void)uv_run(&f->s.loop, UV_RUN_DEFAULT);
        }
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
