/* help: help texts, the manual page and the completion script, all from the command table. */
#include <ctype.h>
#include <string.h>

#include "command.h"

#define NAME_WIDTH 30

static const struct command_option common[] = {
        {"json",       0, NULL,  "machine-readable output"                                     },
        {"run-dir",    0, "DIR", "of the supervisor; default $ECS_RUN_DIR, else /run/ecs-agent"},
        {"help",       0, NULL,  "this text, or that of a command"                             },
        {"version",    0, NULL,  "the build"                                                   },
        {"man",        0, NULL,  "the manual page, as groff source"                            },
        {"completion", 0, NULL,  "the completion script for bash"                              },
        {NULL,         0, NULL,  NULL                                                          },
};
static const struct command_option none[] = {
        {NULL, 0, NULL, NULL}
};

static const struct {
        int code;
        const char *meaning;
} exit_codes[] = {
        {0, "done"                              },
        {1, "it failed; standard error says why"},
        {2, "the command line is wrong"         },
};
static const char rights[] =
        "Looking needs membership of group ecs-operators, changing needs root.";

static const struct command_option *options_of(const struct command *c)
{
        return c->options != NULL ? c->options : none;
}

static void option_text(const struct command_option *o, char *text, size_t size)
{
        char letter[8] = "";
        if (o->letter != '\0')
                (void)snprintf(letter, sizeof letter, "-%c, ", o->letter);
        (void)snprintf(text, size, "%s--%s%s%s", letter, o->name, o->argument != NULL ? " " : "",
                       o->argument != NULL ? o->argument : "");
}

/* ---- help ---- */

static void print_options(FILE *to, const struct command_option *o)
{
        char text[80];
        for (; o->name != NULL; o++) {
                option_text(o, text, sizeof text);
                (void)fprintf(to, "  %-*s %s\n", NAME_WIDTH - 6, text, o->help);
        }
}

void help_usage(FILE *to)
{
        char text[80];
        (void)fputs("usage: ecsctl [OPTION]... COMMAND [ARGUMENT]...\n"
                    "Looks at a running ECS agent and changes its workers.\n\n",
                    to);
        for (size_t i = 0; commands[i] != NULL; i++) {
                (void)snprintf(text, sizeof text, "%s %s", commands[i]->name, commands[i]->usage);
                (void)fprintf(to, "  %-*s %s\n", NAME_WIDTH, text, commands[i]->summary);
        }
        (void)fputs("\nOptions, before or behind the command:\n", to);
        print_options(to, common);
        (void)fprintf(
                to, "\n%s\n'ecsctl COMMAND --help' has the details and examples; see ecsctl(8).\n",
                rights);
}

void help_command(FILE *to, const struct command *c)
{
        (void)fprintf(to, "usage: ecsctl %s %s\n%s: %s.\n", c->name, c->usage, c->name, c->summary);
        if (c->text != NULL)
                (void)fprintf(to, "\n%s\n", c->text);
        if (c->options != NULL) {
                (void)fputs("\nOptions:\n", to);
                print_options(to, c->options);
        }
        if (c->examples != NULL)
                (void)fputs("\nExamples:\n", to);
        for (size_t i = 0; c->examples != NULL && c->examples[i].line != NULL; i++)
                (void)fprintf(to, "  %s\n      %s\n", c->examples[i].line, c->examples[i].what);
        (void)fputs("\n--json, --run-dir DIR and --help work with every command.\n", to);
}

/* ---- the manual page ---- */

/* One line in which groff sees no request, no escape and no soft hyphen. */
static void put_line(FILE *to, const char *text, size_t length)
{
        if (length > 0 && (*text == '.' || *text == '\''))
                (void)fputs("\\&", to);
        for (size_t i = 0; i < length; i++) {
                if (text[i] == '\\')
                        (void)fputs("\\e", to);
                else if (text[i] == '-')
                        (void)fputs("\\-", to);
                else
                        (void)fputc(text[i], to);
        }
        (void)fputc('\n', to);
}

/* An empty line begins a paragraph. */
static void put_roff(FILE *to, const char *text)
{
        while (*text != '\0') {
                size_t length = strcspn(text, "\n");
                if (length == 0)
                        (void)fputs(".PP\n", to);
                else
                        put_line(to, text, length);
                text += length + (text[length] == '\n');
        }
}

static void put_options(FILE *to, const struct command_option *o)
{
        char text[80];
        for (; o->name != NULL; o++) {
                option_text(o, text, sizeof text);
                (void)fputs(".TP\n.B ", to);
                put_roff(to, text);
                put_roff(to, o->help);
        }
}

static void put_command(FILE *to, const struct command *c)
{
        (void)fprintf(to, ".SS ecsctl %s %s\n", c->name, c->usage);
        (void)fputc(toupper((unsigned char)c->summary[0]), to);
        (void)fprintf(to, "%s.\n", c->summary + 1);
        if (c->text != NULL) {
                (void)fputs(".PP\n", to);
                put_roff(to, c->text);
        }
        put_options(to, options_of(c));
        for (size_t i = 0; c->examples != NULL && c->examples[i].line != NULL; i++) {
                (void)fputs(".TP\n.B ", to);
                put_roff(to, c->examples[i].line);
                put_roff(to, c->examples[i].what);
        }
}

void help_manual(FILE *to)
{
        (void)fputs(".TH ECSCTL 8 \"\" \"ecs-agent " ECS_VERSION "\" \"System Administration\"\n"
                    ".SH NAME\necsctl \\- look at a running ECS agent and change its workers\n"
                    ".SH SYNOPSIS\n.B ecsctl\n[\\fIOPTION\\fR]...\n\\fICOMMAND\\fR\n"
                    "[\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\n",
                    to);
        put_roff(to, rights);
        (void)fputs(".SH COMMANDS\n", to);
        for (size_t i = 0; commands[i] != NULL; i++)
                put_command(to, commands[i]);
        (void)fputs(".SH OPTIONS\n", to);
        put_options(to, common);
        (void)fputs(".SH EXIT STATUS\n", to);
        for (size_t i = 0; i < sizeof exit_codes / sizeof exit_codes[0]; i++)
                (void)fprintf(to, ".TP\n.B %d\n%s\n", exit_codes[i].code, exit_codes[i].meaning);
        (void)fputs(".SH FILES\n.TP\n.I /run/ecs\\-agent/control.sock\nthe control socket\n"
                    ".SH SEE ALSO\n.BR ecs.config (5)\n",
                    to);
}

/* ---- completion ---- */

static void put_words(FILE *to, const struct command_option *o)
{
        for (; o->name != NULL; o++)
                (void)fprintf(to, " --%s", o->name);
}

static void put_case(FILE *to, const struct command *c)
{
        (void)fprintf(to, "    %s) words=\"--json --run-dir --help", c->name);
        put_words(to, options_of(c));
        if ((c->complete & COMPLETE_WORKER) != 0)
                (void)fputs(" $(_ecsctl_workers)", to);
        if ((c->complete & COMPLETE_TASK) != 0)
                (void)fputs(" $(_ecsctl_tasks)", to);
        if ((c->complete & COMPLETE_LEVEL) != 0)
                (void)fputs(" debug info warn error crit none", to);
        (void)fprintf(to, "\"%s;;\n", (c->complete & COMPLETE_FILE) != 0 ? "; files=-f" : "");
}

void help_completion(FILE *to)
{
        (void)fputs("# bash completion of ecsctl; made by 'ecsctl --completion'.\n"
                    "_ecsctl_workers() {\n"
                    "    ecsctl status --json 2>/dev/null | sed -n 's/^ *\"name\": "
                    "\"\\(.*\\)\",*$/\\1/p'\n"
                    "}\n"
                    "_ecsctl_tasks() {\n"
                    "    ecsctl tasks --json 2>/dev/null |\n"
                    "        sed -n 's/^ *\"arn\": \"arn:[^\"]*\\/\\([^\"]*\\)\",*$/\\1/p'\n"
                    "}\n"
                    "_ecsctl() {\n"
                    "    local cur=${COMP_WORDS[COMP_CWORD]} command= words= files= i\n"
                    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
                    "        case ${COMP_WORDS[i]} in\n"
                    "        --run-dir) ((i++)) ;;\n"
                    "        -*) ;;\n"
                    "        *) command=${COMP_WORDS[i]}; break ;;\n"
                    "        esac\n"
                    "    done\n"
                    "    case $command in\n"
                    "    '') words=\"help",
                    to);
        for (size_t i = 0; commands[i] != NULL; i++)
                (void)fprintf(to, " %s", commands[i]->name);
        put_words(to, common);
        (void)fputs("\";;\n", to);
        for (size_t i = 0; commands[i] != NULL; i++)
                put_case(to, commands[i]);
        (void)fputs("    esac\n"
                    "    COMPREPLY=($(compgen $files -W \"$words\" -- \"$cur\"))\n"
                    "}\n"
                    "complete -F _ecsctl ecsctl\n",
                    to);
}
