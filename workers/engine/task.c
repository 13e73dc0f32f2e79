/* task: the model's state changes. The facts are the memory: every change lands there, so that what
 * is published, stored and shown is one thing. */
#include "model.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "cleanup.h"
#include "mem.h"
#include "port_mapping.h"
#include "random.h"
#include "resource.h"

#define REASON_MAX     1024
#define NEVER_RAN_EXIT 143 /* of a container that waited in vain */

extern const char protobuf_c_empty_string[];

void text_set(char **field, const char *value)
{
        if (*field != protobuf_c_empty_string)
                free(*field);
        *field = mem_strdup(value != NULL ? value : "");
}

const char *task_id(const char *arn)
{
        const char *slash = strrchr(arn, '/');
        return slash != NULL ? slash + 1 : arn;
}

/* ecs-<family>-<version>-<name>-<20 hex>, the name without what Docker does not allow. */
static char *docker_name(const Ecs__TaskSpec *spec, const char *name)
{
        unsigned char random[10];
        struct buf b = {0};
        buf_printf(&b, "ecs-%s-%s-", spec->family, spec->version);
        for (; *name != '\0'; name++)
                if (isalnum((unsigned char)*name) || *name == '-')
                        buf_append(&b, name, 1);
        buf_append(&b, "-", 1);
        random_bytes(random, sizeof random);
        for (size_t i = 0; i < sizeof random; i++)
                buf_printf(&b, "%02x", random[i]);
        return buf_steal(&b);
}

static Ecs__ContainerFacts *new_container_facts(const Ecs__TaskSpec *spec,
                                                const Ecs__ContainerSpec *c)
{
        char uuid[RANDOM_UUID];
        Ecs__ContainerFacts *f = mem_alloc(sizeof *f);
        ecs__container_facts__init(f);
        f->name = mem_strdup(c->name);
        f->image = mem_strdup(c->image);
        f->endpoint_id = mem_strdup(random_uuid(uuid));
        f->docker_name = docker_name(spec, c->name);
        f->known_status = mem_strdup("NONE");
        f->desired_status = mem_strdup("RUNNING");
        f->cpu = c->cpu;
        f->memory_mib = c->memory_mib;
        f->type = mem_strdup("NORMAL");
        f->container_arn = mem_strdup(c->container_arn);
        f->essential = c->essential;
        if (c->restart_policy != NULL && c->restart_policy->enabled) {
                f->restart_count = mem_alloc(sizeof *f->restart_count);
                ecs__optional_int__init(f->restart_count);
        }
        return f;
}

static Ecs__TaskFacts *new_facts(const Ecs__TaskSpec *spec, int64_t now_ms)
{
        Ecs__TaskFacts *f = mem_alloc(sizeof *f);
        ecs__task_facts__init(f);
        f->arn = mem_strdup(spec->arn);
        f->family = mem_strdup(spec->family);
        f->version = mem_strdup(spec->version);
        f->desired_status = mem_strdup("RUNNING");
        f->known_status = mem_strdup("NONE");
        f->cpu = spec->cpu;
        f->memory_mib = spec->memory_mib;
        f->launch_type = mem_strdup(spec->launch_type);
        f->service_name = mem_strdup(spec->service_name);
        f->credentials_id = mem_strdup(spec->credentials_id);
        f->execution_credentials_id = mem_strdup(spec->execution_credentials_id);
        f->enable_fault_injection = spec->enable_fault_injection;
        f->network_mode = mem_strdup(spec->network_mode);
        f->created_at_ms = now_ms;
        f->n_containers = spec->n_containers;
        f->containers = mem_zalloc((spec->n_containers + 1) * sizeof *f->containers);
        for (size_t i = 0; i < spec->n_containers; i++)
                f->containers[i] = new_container_facts(spec, spec->containers[i]);
        return f;
}

static struct task *assemble(Ecs__TaskSpec *spec, Ecs__TaskFacts *facts, const struct log *log)
{
        struct task *t = mem_zalloc(sizeof *t);
        t->spec = spec;
        t->facts = facts;
        t->log = (struct log){.parent = log, .key = "task", .value = task_id(spec->arn)};
        t->container_count = spec->n_containers;
        t->containers = mem_zalloc((spec->n_containers + 1) * sizeof *t->containers);
        t->known = t->reported = t->told = status_from_name(facts->known_status);
        t->desired = status_from_name(facts->desired_status);
        for (size_t i = 0; i < t->container_count; i++) {
                struct container *c = &t->containers[i];
                c->task = t;
                c->spec = spec->containers[i];
                c->facts = facts->containers[i];
                c->known = c->reported = c->told = status_from_name(c->facts->known_status);
                c->desired = status_from_name(c->facts->desired_status);
                c->log = (struct log){
                        .parent = &t->log, .key = "container", .value = c->spec->name};
        }
        return t;
}

struct task *task_new(Ecs__TaskSpec *spec, int64_t now_ms, const struct log *log)
{
        struct task *t = assemble(spec, new_facts(spec, now_ms), log);
        t->dirty = true;
        return t;
}

struct task *task_restore(Ecs__TaskSpec *spec, Ecs__TaskFacts *facts, int64_t stopped_ms,
                          const struct log *log)
{
        struct task *t = assemble(spec, facts, log);
        t->stopped_ms = stopped_ms;
        for (size_t i = 0; i < t->container_count; i++) {
                struct container *c = &t->containers[i];
                c->digest_resolved = c->known >= S_MANIFEST_PULLED &&
                                     *c->facts->image_digest != '\0' &&
                                     strchr(c->spec->image, '@') == NULL;
        }
        return t;
}

void task_free(struct task *t)
{
        if (t == NULL)
                return;
        ecs__task_spec__free_unpacked(t->spec, NULL);
        ecs__task_facts__free_unpacked(t->facts, NULL);
        resource_clear(t);
        free(t->containers);
        free(t);
}

struct container *task_find_container(struct task *t, const char *name)
{
        for (size_t i = 0; i < t->container_count; i++)
                if (strcmp(t->containers[i].spec->name, name) == 0)
                        return &t->containers[i];
        return NULL;
}

/* ---- changes ---- */

static void keep_first_reason(struct container *c, const char *reason)
{
        if (reason != NULL && *c->facts->reason == '\0')
                text_set(&c->facts->reason, reason);
}

bool container_apply(struct container *c, enum container_event e, const char *reason)
{
        const struct container_cell *cell = &container_cells[c->known][e];
        if (!cell->applies)
                return false;
        c->known = cell->next;
        text_set(&c->facts->known_status, status_name(c->known));
        keep_first_reason(c, reason);
        if (c->known == S_STOPPED)
                container_restart_over(c);
        c->task->dirty = true;
        return true;
}

void container_set_exit_code(struct container *c, int code)
{
        if (c->facts->exit_code != NULL)
                return;
        c->facts->exit_code = mem_alloc(sizeof *c->facts->exit_code);
        ecs__optional_int__init(c->facts->exit_code);
        c->facts->exit_code->value = code;
        c->task->dirty = true;
}

static void want_container_stopped(struct container *c)
{
        if (c->desired == S_STOPPED)
                return;
        c->desired = S_STOPPED;
        text_set(&c->facts->desired_status, "STOPPED");
        c->task->dirty = true;
}

void container_give_up(struct container *c, const char *reason)
{
        keep_first_reason(c, reason);
        container_restart_over(c);
        c->may_run = true;
        want_container_stopped(c);
}

void task_want_stopped(struct task *t, const char *reason)
{
        if (reason != NULL && *t->facts->stopped_reason == '\0') {
                text_set(&t->facts->stopped_reason, reason);
                t->dirty = true;
        }
        if (t->desired == S_STOPPED)
                return;
        t->desired = S_STOPPED;
        text_set(&t->facts->desired_status, "STOPPED");
        t->dirty = true;
}

/* The least advanced container decides; a stopped non-essential one holds nothing back. */
static enum status least_advanced(const struct task *t)
{
        static const enum status as_task[S_STATUSES] = {
                [S_NONE] = S_NONE,
                [S_MANIFEST_PULLED] = S_MANIFEST_PULLED,
                [S_PULLED] = S_MANIFEST_PULLED,
                [S_CREATED] = S_CREATED,
                [S_RUNNING] = S_RUNNING,
                [S_STOPPED] = S_STOPPED,
        };
        enum status least = S_STOPPED;
        bool essential_stopped = false;
        for (size_t i = 0; i < t->container_count; i++) {
                const struct container *c = &t->containers[i];
                if (as_task[c->known] < least)
                        least = as_task[c->known];
                essential_stopped = essential_stopped ||
                                    (c->spec->essential && c->known == S_STOPPED);
        }
        /* an essential one has gone: the task goes on only to STOPPED */
        if (least == S_RUNNING && essential_stopped)
                return t->known;
        return least;
}

/* An essential container that has stopped, or is to, takes the task with it. */
static void spread_stop(struct task *t, int64_t now_ms)
{
        for (size_t i = 0; i < t->container_count; i++) {
                const struct container *c = &t->containers[i];
                if (!c->spec->essential || (c->known != S_STOPPED && c->desired != S_STOPPED))
                        continue;
                task_want_stopped(t, NULL);
                if (c->known == S_STOPPED && t->facts->execution_stopped_at_ms == 0) {
                        t->facts->execution_stopped_at_ms = now_ms;
                        t->dirty = true;
                }
        }
        for (size_t i = 0; t->desired == S_STOPPED && i < t->container_count; i++) {
                struct container *c = &t->containers[i];
                want_container_stopped(c);
                /* nobody waits for an image that is not wanted any more (E38) */
                if (c->step == STEP_PULL)
                        (void)container_apply(c, EV_STOP_WANTED, NULL);
        }
}

/* Gives up one container whose dependency can never be met. Returns whether there was one. */
static bool give_up_one(struct task *t, int64_t now_ms)
{
        for (size_t i = 0; i < t->container_count; i++) {
                struct container *c = &t->containers[i];
                cleanup_free char *reason = NULL;
                if (c->step == STEP_NONE)
                        reason = container_hopeless(c, now_ms);
                if (reason == NULL)
                        continue;
                container_set_exit_code(c, NEVER_RAN_EXIT);
                return container_apply(c, EV_HOPELESS, reason);
        }
        return false;
}

void task_settle(struct task *t, int64_t now_ms)
{
        do
                spread_stop(t, now_ms);
        while (give_up_one(t, now_ms));
        enum status now = least_advanced(t);
        if (now <= t->known)
                return;
        t->known = now;
        text_set(&t->facts->known_status, status_name(now));
        if (now == S_STOPPED)
                t->stopped_ms = now_ms;
        t->dirty = true;
}

void task_admit(struct task *t, int64_t now_ms)
{
        cleanup_free char *reason = *t->spec->invalid_reason != '\0'
                                            ? mem_strdup(t->spec->invalid_reason)
                                            : task_check_dependencies(t);
        if (reason == NULL && t->container_count > 0 &&
            t->spec->desired_status != ECS__DESIRED_STATUS__DESIRED_STOPPED)
                return;
        task_want_stopped(t, reason);
        task_settle(t, now_ms);
        for (size_t i = 0; i < t->container_count; i++)
                (void)container_apply(&t->containers[i], EV_STOP_WANTED, NULL);
        task_settle(t, now_ms);
}

/* ---- reports ---- */

static bool is_reportable(const struct container *c)
{
        if (c->known == c->reported || c->known < c->reported)
                return false;
        if (c->known == S_RUNNING || c->known == S_STOPPED)
                return true;
        return c->reported < S_MANIFEST_PULLED && c->known >= S_MANIFEST_PULLED && c->digest_resolved;
}

static const char *wire_status(enum status s)
{
        return s == S_RUNNING || s == S_STOPPED ? status_name(s) : "PENDING";
}

/* At most REASON_MAX bytes, cut between characters. */
static char *cut_reason(const char *reason)
{
        size_t n = strlen(reason);
        if (n > REASON_MAX) {
                n = REASON_MAX;
                while (n > 0 && ((unsigned char)reason[n] & 0xc0) == 0x80)
                        n--;
        }
        return mem_strndup(reason, n);
}

/* First letter upper case, runs of white space one blank. */
static char *tidy_reason(const char *reason)
{
        struct buf b = {0};
        for (; *reason != '\0'; reason++) {
                char ch = *reason;
                if (isspace((unsigned char)ch)) {
                        if (b.length > 0 && b.data[b.length - 1] != ' ')
                                buf_append(&b, " ", 1);
                        continue;
                }
                if (b.length == 0)
                        ch = (char)toupper((unsigned char)ch);
                buf_append(&b, &ch, 1);
        }
        cleanup_free char *tidy = buf_steal(&b);
        return cut_reason(tidy);
}

static Ecs__ContainerChange *container_change(const struct container *c)
{
        Ecs__ContainerChange *x = mem_alloc(sizeof *x);
        ecs__container_change__init(x);
        x->name = mem_strdup(c->spec->name);
        x->runtime_id = mem_strdup(c->facts->docker_id);
        x->status = mem_strdup(wire_status(c->known));
        x->image_digest = mem_strdup(c->facts->image_digest);
        x->reason = cut_reason(c->facts->reason);
        if (c->facts->exit_code != NULL) {
                x->exit_code = mem_alloc(sizeof *x->exit_code);
                ecs__optional_int__init(x->exit_code);
                x->exit_code->value = c->facts->exit_code->value;
        }
        if (c->known >= S_RUNNING && *c->facts->docker_id != '\0')
                x->network_bindings = port_mapping_bindings(c, &x->n_network_bindings);
        return x;
}

static bool has_digest(const struct task *t)
{
        for (size_t i = 0; i < t->container_count; i++)
                if (t->containers[i].digest_resolved)
                        return true;
        return false;
}

static bool task_is_reportable(const struct task *t)
{
        if (t->known <= t->reported)
                return false;
        if (t->known == S_RUNNING || t->known == S_STOPPED)
                return true;
        return t->reported < S_MANIFEST_PULLED && t->known >= S_MANIFEST_PULLED && has_digest(t);
}

Ecs__StateChange *task_report(struct task *t)
{
        bool whole = task_is_reportable(t);
        size_t changed = 0;
        for (size_t i = 0; i < t->container_count; i++)
                changed += is_reportable(&t->containers[i]);
        if (!whole && changed == 0)
                return NULL;
        Ecs__StateChange *x = mem_alloc(sizeof *x);
        ecs__state_change__init(x);
        x->task_arn = mem_strdup(t->spec->arn);
        x->status = mem_strdup(wire_status(t->known));
        x->reason = t->known == S_STOPPED ? tidy_reason(t->facts->stopped_reason) : mem_strdup("");
        x->pull_started_at_ms = t->facts->pull_started_at_ms;
        x->pull_stopped_at_ms = t->facts->pull_stopped_at_ms;
        x->execution_stopped_at_ms = t->facts->execution_stopped_at_ms;
        x->batch = !whole;
        x->containers = mem_zalloc((changed + 1) * sizeof *x->containers);
        for (size_t i = 0; i < t->container_count; i++) {
                struct container *c = &t->containers[i];
                if (!is_reportable(c))
                        continue;
                x->containers[x->n_containers++] = container_change(c);
                c->reported = c->known;
        }
        t->reported = t->known;
        return x;
}

void state_change_free(Ecs__StateChange *c)
{
        if (c != NULL)
                ecs__state_change__free_unpacked(c, NULL);
}
