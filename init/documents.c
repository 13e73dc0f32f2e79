/* ecs-documents: run by the build; prints one of the texts that follow from the tables of settings
 * and options: the pages ecs.config(5) and ecs-supervisor(8) in mdoc, and the commented
 * ecs.config. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cleanup.h"
#include "config_show.h"
#include "config_table.h"
#include "mem.h"
#include "options.h"

#define WIDTH 78

/* ---- mdoc ---- */

/* Words of running text, each on a new line where the last one is full or a sentence ends. What
 * mdoc would read as a request or an escape is protected. */
static void put_mdoc(const char *text)
{
        size_t column = 0;
        while (*text != '\0') {
                size_t n = strcspn(text, " ");
                if (column > 0)
                        (void)putchar(column + n > WIDTH ? '\n' : ' ');
                if (column + n > WIDTH)
                        column = 0;
                if (column == 0 && (*text == '.' || *text == '\''))
                        (void)fputs("\\&", stdout);
                for (size_t i = 0; i < n; i++)
                        if (text[i] == '\\')
                                (void)fputs("\\e", stdout);
                        else
                                (void)putchar(text[i]);
                column = n > 0 && text[n - 1] == '.' ? WIDTH : column + n + 1;
                text += n + strspn(text + n, " ");
        }
        (void)putchar('\n');
}

/* A macro's argument, quoted, and what follows it. */
static void put_argument(const char *macro, const char *text, const char *end)
{
        (void)printf(".%s \"", macro);
        for (; *text != '\0'; text++)
                if (*text == '"')
                        (void)fputs("\\(dq", stdout);
                else if (*text == '\\')
                        (void)fputs("\\e", stdout);
                else
                        (void)putchar(*text);
        (void)printf("\"%s\n", end);
}

static void put_lines(const char *const *lines)
{
        for (; *lines != NULL; lines++)
                (void)puts(*lines);
}

static bool is_documented(const struct config_row *row)
{
        return (row->flags & (CONFIG_INTERNAL | CONFIG_FLAG_ONLY)) == 0;
}

static void put_setting(const struct config_row *row)
{
        cleanup_free char *bounds = config_show_bounds(row);
        cleanup_free char *fallback = config_show_value(row, row->fallback);
        cleanup_free char *obstacle = config_show_obstacle(row, NULL);
        put_argument("It Ev", row->name, "");
        put_mdoc(row->help);
        (void)puts(".br");
        cleanup_free char *type = mem_printf("Type: %s%s%s.", config_show_type(row),
                                             *bounds != '\0' ? ", " : "", bounds);
        put_mdoc(type);
        if (*fallback != '\0') {
                (void)puts("Default:");
                put_argument("Ql", fallback, " .");
        }
        if (row->json_key != NULL && (row->flags & CONFIG_JSON_ONLY) == 0) {
                (void)puts("JSON key:");
                put_argument("Ql", row->json_key, " .");
        }
        if (row->absent_word != NULL) {
                cleanup_free char *text = mem_printf("Not in effect: %s, since this build does "
                                                     "not have %s.",
                                                     row->absent_word, row->absent);
                (void)puts(".br");
                put_mdoc(text);
        }
        if (obstacle != NULL) {
                cleanup_free char *text = mem_printf("Not in effect: %s.", obstacle);
                (void)puts(".br");
                put_mdoc(text);
        }
}

static const char *const page_head[] = {
        ".Dd November 24, 2026",
        ".Dt ECS.CONFIG 5",
        ".Os",
        ".Sh NAME",
        ".Nm ecs.config",
        ".Nd settings of the Amazon ECS container agent",
        ".Sh SYNOPSIS",
        ".Nm /etc/ecs/ecs.config",
        ".Nm /var/lib/ecs/ecs.config",
        ".Sh DESCRIPTION",
        "Each line is",
        ".Ar NAME Ns = Ns Ar value .",
        "White space around a line is dropped; everything after the first",
        ".Ql =",
        "is the value as it stands: there are no quotes, no escapes and no expansion.",
        "A line without",
        ".Ql =",
        "is skipped, and so is one that begins with",
        ".Ql # .",
        "Of two lines with one name the later counts.",
        ".Pp",
        "A setting is taken from the first of these that has it;",
        "an empty value is no value:",
        ".Bl -enum -compact",
        ".It",
        "a flag of",
        ".Xr ecs-supervisor 8",
        ".It",
        "the environment of",
        ".Xr ecs-supervisor 8",
        ".It",
        ".Pa /etc/ecs/ecs.config",
        ".It",
        ".Pa /var/lib/ecs/ecs.config",
        ".It",
        "the JSON file, an object with the JSON keys below, in any case of letters",
        ".It",
        "the user data of the EC2 instance, when it is JSON of the form",
        ".Ql {\\(dqECSAgentConfiguration\\(dq: { ... }}",
        "with the same keys",
        ".It",
        "for the region, the instance metadata service",
        ".It",
        "the default",
        ".El",
        ".Pp",
        "A value that cannot be used is warned about and the default taken,",
        "unless said otherwise.",
        "A setting that asks for what this build does not have is refused by name.",
        "Both are shown by",
        ".Ql ecsctl status ;",
        ".Ql ecsctl config",
        "prints every setting with its origin.",
        ".Pp",
        "Types: a duration is a number with a unit, or several, such as",
        ".Ql 1h30m",
        "or",
        ".Ql 500ms ,",
        "with the units ns, us, ms, s, m and h; in JSON it is a number of nanoseconds.",
        "True is one of 1, t, T, TRUE, true and True;",
        "false is one of 0, f, F, FALSE, false and False.",
        NULL};

static const char *const page_tail[] = {".Sh FILES",
                                        ".Bl -tag -width Ds -compact",
                                        ".It Pa /etc/ecs/ecs.config",
                                        "settings of the administrator",
                                        ".It Pa /var/lib/ecs/ecs.config",
                                        "settings of installers",
                                        ".It Pa /etc/ecs/ecs.config.json",
                                        "the JSON file",
                                        ".El",
                                        ".Sh EXAMPLES",
                                        ".Bd -literal",
                                        "ECS_CLUSTER=production",
                                        "ECS_CONTAINER_STOP_TIMEOUT=2m",
                                        "ECS_INSTANCE_ATTRIBUTES={\"rack\":\"7\"}",
                                        ".Ed",
                                        ".Sh SEE ALSO",
                                        ".Xr ecs-supervisor 8 ,",
                                        ".Xr ecsctl 8",
                                        NULL};

static void put_config_page(void)
{
        bool open = false;
        put_lines(page_head);
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                if (!is_documented(row))
                        continue;
                if (row->section != NULL) {
                        (void)puts(open ? ".El" : ".Sh SETTINGS");
                        put_argument("Ss", row->section, "");
                        (void)puts(".Bl -tag -width Ds");
                        open = true;
                }
                put_setting(row);
        }
        (void)puts(".El");
        put_lines(page_tail);
}

/* ---- ecs.config ---- */

static void put_comment(const char *text)
{
        size_t column = 0;
        while (*text != '\0') {
                size_t n = strcspn(text, " ");
                if (column > 0 && column + 1 + n > WIDTH) {
                        (void)putchar('\n');
                        column = 0;
                }
                column += (size_t)printf("%s%.*s", column > 0 ? " " : "# ", (int)n, text);
                text += n + strspn(text + n, " ");
        }
        (void)putchar('\n');
}

static void put_assignment(const struct config_row *row)
{
        cleanup_free char *bounds = config_show_bounds(row);
        cleanup_free char *value = config_show_value(row, row->fallback);
        (void)putchar('\n');
        put_comment(row->help);
        (void)printf("# (%s%s%s)\n", config_show_type(row), *bounds != '\0' ? ", " : "", bounds);
        (void)printf("#%s=%s\n", row->name, value);
}

static void put_default_file(void)
{
        put_comment("Settings of the Amazon ECS container agent. Remove the # before a setting to "
                    "set it; ecs.config(5) explains all of them, 'ecsctl config' prints those in "
                    "effect. No quotes, and no comments behind a value: everything after the first "
                    "= is the value.");
        const char *section = NULL;
        for (size_t i = 0; i < config_row_count; i++) {
                const struct config_row *row = &config_rows[i];
                section = row->section != NULL ? row->section : section;
                if (!is_documented(row) || (row->absent != NULL && row->absent_word == NULL) ||
                    row->moot != NULL || (row->flags & (CONFIG_JSON_ONLY | CONFIG_WINDOWS)) != 0)
                        continue;
                if (section != NULL)
                        (void)printf("\n# ---- %s ----\n", section);
                section = NULL;
                put_assignment(row);
        }
}

/* ---- ecs-supervisor(8) ---- */

static const char *const supervisor_head[] = {
        ".Dd November 24, 2026",
        ".Dt ECS-SUPERVISOR 8",
        ".Os",
        ".Sh NAME",
        ".Nm ecs-supervisor",
        ".Nd run the Amazon ECS container agent",
        ".Sh SYNOPSIS",
        ".Nm",
        ".Op Ar option ...",
        ".Sh DESCRIPTION",
        ".Nm",
        "starts the workers of the agent, gives each what it needs,",
        "and starts them again when they end.",
        "Containers go on running when it stops.",
        "Options are written with one dash or two; a value follows after a space or",
        ".Ql = ;",
        "a switch may be given as",
        ".Fl switch Ns =false .",
        ".Bl -tag -width Ds",
        NULL};

static const char *const supervisor_tail[] = {
        ".El",
        ".Sh ENVIRONMENT",
        "The settings of",
        ".Xr ecs.config 5 ,",
        "and:",
        ".Bl -tag -width Ds",
        ".It Ev ECS_CONFIG_FILE",
        "As",
        ".Fl config .",
        ".It Ev ECS_RUN_DIR",
        "As",
        ".Fl run-dir .",
        ".El",
        ".Sh FILES",
        ".Bl -tag -width Ds -compact",
        ".It Pa /etc/ecs/ecs.config , /var/lib/ecs/ecs.config",
        "settings",
        ".It Pa /var/lib/ecs/data",
        "databases",
        ".It Pa /run/ecs-agent/control.sock",
        "where",
        ".Xr ecsctl 8",
        "asks",
        ".El",
        ".Sh SIGNALS",
        "SIGTERM and SIGINT end the service in order.",
        "SIGUSR1 writes the state of every worker to the log.",
        ".Sh EXIT STATUS",
        ".Bl -tag -width Ds -compact",
        ".It 0",
        "Stopped in order.",
        ".It 1",
        "A mistake in the settings, or something that may pass: try again.",
        ".It 5",
        "Do not try again before something is changed.",
        ".El",
        ".Sh SEE ALSO",
        ".Xr ecs.config 5 ,",
        ".Xr ecsctl 8",
        NULL};

static void put_supervisor_page(void)
{
        put_lines(supervisor_head);
        for (size_t i = 0; i < option_row_count; i++) {
                const struct option_row *row = &option_rows[i];
                if (row->test)
                        continue;
                (void)printf(".It Fl %s", row->name);
                if (row->argument != NULL)
                        (void)printf(" Ar %s", row->argument);
                (void)putchar('\n');
                put_mdoc(row->help);
        }
        put_lines(supervisor_tail);
}

int main(int argc, char **argv)
{
        static const struct {
                const char *name;
                void (*put)(void);
        } documents[] = {
                {"ecs.config.5",     put_config_page    },
                {"ecs.config",       put_default_file   },
                {"ecs-supervisor.8", put_supervisor_page}
        };
        for (size_t i = 0; argc == 2 && i < ARRAY_SIZE(documents); i++)
                if (strcmp(argv[1], documents[i].name) == 0) {
                        documents[i].put();
                        return fflush(stdout) != 0;
                }
        (void)fputs("usage: ecs-documents ecs.config.5|ecs.config|ecs-supervisor.8\n", stderr);
        return 2;
}
