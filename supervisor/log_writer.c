/* log_writer: gives every line its time and the name of its process, and hands it to the sinks:
 * standard error (or the journal, under systemd) and ECS_LOGFILE. Levels are those of the sinks;
 * 'ecsctl loglevel' puts another in their place for one process. Source: host.md 4. */
#include "supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "buf.h"
#include "cleanup.h"
#include "clock.h"
#include "log_journal.h"
#include "log_sink.h"
#include "logfmt.h"
#include "mem.h"

#define QUEUE_MAX (1u << 20)
#define SINKS 2
#define OVERRIDES 16
#define SUPERVISOR "supervisor"

struct output {
        struct log_sink *sink; /* NULL: not in use */
        enum log_level level;
        bool json;
};

struct override {
        const char *process; /* borrowed from the worker's row */
        enum log_level level;
};

struct log_writer {
        struct output outputs[SINKS];
        struct override overrides[OVERRIDES];
        size_t override_count;
};

/* ---- levels ---- */

static const struct override *find_override(const struct log_writer *w, const char *process)
{
        for (size_t i = 0; i < w->override_count; i++)
                if (strcmp(w->overrides[i].process, process) == 0)
                        return &w->overrides[i];
        return NULL;
}

/* A sink that is off stays off. */
static enum log_level level_for(const struct log_writer *w, const struct output *o,
                                const char *process)
{
        const struct override *by_hand = find_override(w, process);
        return by_hand != NULL && o->level != LOG_LEVEL_NONE ? by_hand->level : o->level;
}

enum log_level log_writer_level(const struct supervisor *s, const char *process)
{
        enum log_level level = LOG_LEVEL_NONE;
        for (size_t i = 0; s->writer != NULL && i < SINKS; i++) {
                const struct output *o = &s->writer->outputs[i];
                enum log_level own = level_for(s->writer, o, process);
                if (o->sink != NULL && own > level)
                        level = own;
        }
        return level;
}

void log_writer_override(struct supervisor *s, const char *process, enum log_level level)
{
        struct log_writer *w = s->writer;
        struct override *o = (struct override *)(uintptr_t)find_override(w, process);
        if (o == NULL && w->override_count == OVERRIDES)
                return;
        if (o == NULL)
                o = &w->overrides[w->override_count++];
        *o = (struct override){process, level};
        if (strcmp(process, SUPERVISOR) == 0)
                log_set_level(log_writer_level(s, SUPERVISOR));
}

/* ---- lines ---- */

static enum log_level level_of(const char *line)
{
        char word[16];
        enum log_level level = LOG_LEVEL_INFO;
        if (sscanf(line, "level=%15s", word) == 1)
                (void)log_level_from_string(word, &level);
        return level;
}

/* An object of strings. What the supervisor wrote comes first and cannot be replaced. */
static char *to_json(const char *line)
{
        cleanup_json json_t *o = json_object();
        struct buf value = {0};
        struct logfmt_pair pair = {.value = &value};
        while (logfmt_next(&line, &pair)) {
                cleanup_free char *name = mem_strndup(pair.key, pair.key_length);
                if (json_object_get(o, name) == NULL)
                        (void)json_object_set_new(o, name, json_string(value.data));
        }
        buf_clear(&value);
        return json_dumps(o, JSON_COMPACT);
}

/* "level=info msg=…" becomes "level=info time=… worker=engine msg=…". */
static void put_line(struct output *o, const char *process, const char *line)
{
        char now[CLOCK_TEXT], drops[40] = "";
        int64_t wall = clock_wall_ms();
        size_t first = strcspn(line, " ");
        unsigned dropped = log_sink_take_dropped(o->sink);
        if (dropped > 0)
                (void)snprintf(drops, sizeof drops, " dropped=%u", dropped);
        cleanup_free char *text =
                mem_printf("%.*s time=%s worker=%s%s%s", (int)first, line,
                           clock_format_ms(wall - wall % 1000, now), process, line + first, drops);
        if (o->json) {
                char *json = to_json(text);
                free(text);
                text = json;
        }
        /* no text: it was not UTF-8, and JSON cannot hold it */
        if (text == NULL || !log_sink_put(o->sink, text, strlen(text)))
                log_sink_add_dropped(o->sink, dropped + (text == NULL));
}

void log_writer_line(struct supervisor *s, const char *process, const char *line)
{
        if (s->writer == NULL) {
                (void)fprintf(stderr, "%s worker=%s\n", line, process);
                return;
        }
        for (size_t i = 0; i < SINKS; i++) {
                struct output *o = &s->writer->outputs[i];
                if (o->sink != NULL && level_of(line) <= level_for(s->writer, o, process))
                        put_line(o, process, line);
        }
}

static void own_line(void *arg, enum log_level level, const char *line, size_t length)
{
        (void)level;
        (void)length;
        log_writer_line(arg, SUPERVISOR, line);
}

/* ---- opening ---- */

static enum log_level level_setting(const struct config *c, const char *name,
                                    enum log_level fallback)
{
        enum log_level level = fallback;
        (void)log_level_from_string(config_text(c, name, ""), &level);
        return level;
}

/* Whether somebody gets what is written to standard error. */
static bool stderr_is_kept(void)
{
        struct stat st;
        return fstat(STDERR_FILENO, &st) == 0 &&
               !(S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)); /* /dev/null */
}

struct log_file log_writer_file(const struct config *c, const char *path)
{
        return (struct log_file){
                .path = path,
                .roll = log_roll_from_string(config_text(c, "ECS_LOG_ROLLOVER_TYPE", "size")),
                .max_size = (size_t)(atof(config_text(c, "ECS_LOG_MAX_FILE_SIZE_MB", "5")) * 1e6),
                .max_rolls = (int)config_int(c, "ECS_LOG_MAX_ROLL_COUNT", 24)};
}

/* The file is silent only where the other output is heard. Source: host.md 4, ECS_LOG_DRIVER. */
static enum log_level file_level(const struct config *c, enum log_level other)
{
        bool driver = *config_text(c, "ECS_LOG_DRIVER", "") != '\0';
        bool heard = other != LOG_LEVEL_NONE && stderr_is_kept();
        return level_setting(c, "ECS_LOGLEVEL_ON_INSTANCE",
                             driver && heard ? LOG_LEVEL_NONE : other);
}

/* Standard error has nobody to tell: whoever reads it has gone. */
static void on_health(void *arg, const char *path, const char *problem)
{
        struct supervisor *s = arg;
        notice_set(s, "log file", true,
                   problem == NULL ? NULL
                                   : mem_printf("log file %s: %s; lines are lost until it can be "
                                                "written again",
                                                path, problem));
        if (s->writer != NULL)
                supervisor_changed(s);
}

int log_writer_open(struct supervisor *s)
{
        const struct config *c = s->config;
        enum log_level level = level_setting(c, "ECS_LOGLEVEL", LOG_LEVEL_INFO);
        enum log_level on_instance = file_level(c, level);
        bool json = strcmp(config_text(c, "ECS_LOG_OUTPUT_FORMAT", ""), "json") == 0;
        const char *path = config_text(c, "ECS_LOGFILE", NULL);
        bool journal = log_journal_is_stderr();
        struct log_sink_options o = {.loop = &s->loop,
                                     .target = journal ? TARGET_JOURNAL : TARGET_STDERR,
                                     .queue_max = QUEUE_MAX,
                                     .health = on_health,
                                     .arg = s};
        struct log_writer *w = mem_zalloc(sizeof *w);
        w->outputs[0] = (struct output){log_sink_new(&o), level, json && !journal};
        if (path != NULL) {
                o.target = TARGET_FILE;
                o.file = log_writer_file(c, path);
                w->outputs[1] = (struct output){log_sink_new(&o), on_instance, json};
        }
        s->writer = w;
        log_set_level(log_writer_level(s, SUPERVISOR));
        log_set_sink(own_line, s);
        return 0;
}

size_t log_writer_queued(const struct supervisor *s)
{
        size_t n = 0;
        for (size_t i = 0; s->writer != NULL && i < SINKS; i++)
                if (s->writer->outputs[i].sink != NULL)
                        n += log_sink_queued(s->writer->outputs[i].sink);
        return n;
}

/* What is queued is written before the process ends. */
bool log_writer_close(struct supervisor *s)
{
        struct log_writer *w = s->writer;
        bool all = true;
        if (w == NULL)
                return true;
        log_set_sink(NULL, NULL);
        s->writer = NULL;
        for (size_t i = 0; i < SINKS; i++)
                all = log_sink_close(w->outputs[i].sink) && all;
        free(w);
        return all;
}
