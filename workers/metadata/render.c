/* render: JSON written member by member, since the order and the presence of each matter.
 * Source: endpoints.md 0, 2, 5, 9. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "mem.h"
#include "metadata.h"

/* ---- pieces ---- */

/* Bytes of the well-formed UTF-8 character at p, 0 when there is none. */
static size_t character(const unsigned char *p)
{
        if (p[0] < 0x80)
                return 1;
        size_t n = p[0] >= 0xc2 && p[0] < 0xe0   ? 2
                   : (p[0] & 0xf0) == 0xe0       ? 3
                   : p[0] >= 0xf0 && p[0] < 0xf5 ? 4
                                                 : 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        bool overlong = (p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90);
        bool surrogate = p[0] == 0xed && p[1] >= 0xa0;
        bool too_high = p[0] == 0xf4 && p[1] >= 0x90;
        return overlong || surrogate || too_high ? 0 : n;
}

static bool is_plain(unsigned char c)
{
        return c >= 0x20 && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

static void escape(struct buf *b, unsigned char c)
{
        static const char letters[] = {
                ['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
        if (c == '"' || c == '\\')
                buf_printf(b, "\\%c", c);
        else if (c < sizeof letters && letters[c] != '\0')
                buf_printf(b, "\\%c", letters[c]);
        else
                buf_printf(b, "\\u%04x", c);
}

void render_string(struct buf *b, const char *text)
{
        const unsigned char *p = (const unsigned char *)text;
        buf_append(b, "\"", 1);
        while (*p != '\0') {
                size_t n = 0;
                while (is_plain(p[n]))
                        n++;
                buf_append(b, p, n);
                p += n;
                if (*p == '\0')
                        break;
                n = character(p);
                if (n == 0)
                        buf_append_str(b, "\\ufffd");
                else if (n == 1)
                        escape(b, *p);
                else if (memcmp(p, "\xe2\x80\xa8", 3) == 0 || memcmp(p, "\xe2\x80\xa9", 3) == 0)
                        buf_append_str(b, p[2] == 0xa8 ? "\\u2028" : "\\u2029");
                else
                        buf_append(b, p, n);
                p += n > 0 ? n : 1;
        }
        buf_append(b, "\"", 1);
}

static void key(struct buf *b, const char *name)
{
        char last = b->length > 0 ? b->data[b->length - 1] : '{';
        if (last != '{' && last != '[')
                buf_append(b, ",", 1);
        buf_printf(b, "\"%s\":", name);
}

static void separate(struct buf *b)
{
        if (b->data[b->length - 1] != '[' && b->data[b->length - 1] != '{')
                buf_append(b, ",", 1);
}

static void always(struct buf *b, const char *name, const char *value)
{
        key(b, name);
        render_string(b, value);
}

static void omit(struct buf *b, const char *name, const char *value)
{
        if (*value != '\0')
                always(b, name, value);
}

static void number(struct buf *b, const char *name, long long value)
{
        key(b, name);
        buf_printf(b, "%lld", value);
}

static void decimal(struct buf *b, const char *name, double value)
{
        char text[40];
        key(b, name);
        for (int digits = 1; digits <= 17; digits++) {
                (void)snprintf(text, sizeof text, "%.*g", digits, value);
                if (strtod(text, NULL) == value)
                        break;
        }
        if (value == floor(value) && fabs(value) < 1e15)
                (void)snprintf(text, sizeof text, "%.0f", value);
        buf_append_str(b, text);
}

static void time_ms(struct buf *b, const char *name, int64_t ms)
{
        char text[CLOCK_TEXT];
        if (ms > 0)
                always(b, name, clock_format_ms(ms, text));
}

static int by_key(const void *a, const void *b)
{
        const Ecs__KeyValue *const *x = a, *const *y = b;
        return strcmp((*x)->key, (*y)->key);
}

static void map(struct buf *b, const char *name, Ecs__KeyValue *const *pairs, size_t count)
{
        if (count == 0)
                return;
        Ecs__KeyValue **sorted = mem_alloc(count * sizeof *sorted);
        memcpy(sorted, pairs, count * sizeof *sorted);
        qsort(sorted, count, sizeof *sorted, by_key);
        key(b, name);
        buf_append(b, "{", 1);
        for (size_t i = 0; i < count; i++) {
                separate(b);
                render_string(b, sorted[i]->key);
                buf_append(b, ":", 1);
                render_string(b, sorted[i]->value);
        }
        buf_append(b, "}", 1);
        free(sorted);
}

/* ---- container ---- */

static void ports(struct buf *b, const Ecs__ContainerFacts *c, bool with_ip)
{
        if (c->n_ports == 0 || *c->docker_id == '\0')
                return;
        key(b, "Ports");
        buf_append(b, "[", 1);
        for (size_t i = 0; i < c->n_ports; i++) {
                const Ecs__PublishedPort *p = c->ports[i];
                separate(b);
                buf_append(b, "{", 1);
                number(b, "ContainerPort", p->container_port);
                omit(b, "Protocol", p->protocol);
                if (p->host_port != 0)
                        number(b, "HostPort", p->host_port);
                if (with_ip)
                        omit(b, "HostIp", p->host_ip);
                buf_append(b, "}", 1);
        }
        buf_append(b, "]", 1);
}

static void list(struct buf *b, const char *name, char *const *texts, size_t count)
{
        if (count == 0)
                return;
        key(b, name);
        buf_append(b, "[", 1);
        for (size_t i = 0; i < count; i++) {
                separate(b);
                render_string(b, texts[i]);
        }
        buf_append(b, "]", 1);
}

static void networks(struct buf *b, const Ecs__ContainerFacts *c, enum api_version v)
{
        if (v == API_V2 || c->n_networks == 0)
                return;
        key(b, "Networks");
        buf_append(b, "[", 1);
        for (size_t i = 0; i < c->n_networks; i++) {
                const Ecs__NetworkFacts *n = c->networks[i];
                separate(b);
                buf_append(b, "{", 1);
                omit(b, "NetworkMode", n->mode);
                list(b, "IPv4Addresses", n->ipv4, n->n_ipv4);
                if (v == API_V4)
                        list(b, "IPv6Addresses", n->ipv6, n->n_ipv6);
                buf_append(b, "}", 1);
        }
        buf_append(b, "]", 1);
}

static void health(struct buf *b, const Ecs__HealthFacts *h)
{
        if (h == NULL)
                return;
        key(b, "Health");
        buf_append(b, "{", 1);
        omit(b, "status", h->status);
        omit(b, "statusSince", h->since);
        if (h->exit_code != NULL && h->exit_code->value != 0)
                number(b, "exitCode", h->exit_code->value);
        omit(b, "output", h->output);
        buf_append(b, "}", 1);
}

static void volumes(struct buf *b, const Ecs__ContainerFacts *c)
{
        if (c->n_volumes == 0)
                return;
        key(b, "Volumes");
        buf_append(b, "[", 1);
        for (size_t i = 0; i < c->n_volumes; i++) {
                separate(b);
                buf_append(b, "{", 1);
                omit(b, "DockerName", c->volumes[i]->docker_name);
                omit(b, "Source", c->volumes[i]->source);
                omit(b, "Destination", c->volumes[i]->destination);
                buf_append(b, "}", 1);
        }
        buf_append(b, "]", 1);
}

static void container_limits(struct buf *b, const Ecs__ContainerFacts *c)
{
        key(b, "Limits");
        buf_append(b, "{", 1);
        number(b, "CPU", c->cpu < 2 ? 2 : c->cpu);
        number(b, "Memory", c->memory_mib);
        buf_append(b, "}", 1);
}

void render_container(struct buf *b, const Ecs__ContainerFacts *c, enum api_version v)
{
        buf_append(b, "{", 1);
        always(b, "DockerId", c->docker_id);
        always(b, "Name", c->name);
        always(b, "DockerName", *c->docker_id != '\0' ? c->docker_name : "");
        always(b, "Image", c->image);
        always(b, "ImageID", c->image_id);
        ports(b, c, v == API_V4);
        map(b, "Labels", c->labels, c->n_labels);
        always(b, "DesiredStatus", c->desired_status);
        always(b, "KnownStatus", c->known_status);
        if (c->exit_code != NULL)
                number(b, "ExitCode", c->exit_code->value);
        container_limits(b, c);
        omit(b, "CreatedAt", c->created_at);
        omit(b, "StartedAt", c->started_at);
        omit(b, "FinishedAt", c->finished_at);
        always(b, "Type", c->type);
        if (v != API_V4)
                networks(b, c, v);
        health(b, c->health);
        volumes(b, c);
        if (v == API_V4) {
                omit(b, "LogDriver", c->log_driver);
                map(b, "LogOptions", c->log_options, c->n_log_options);
                omit(b, "ContainerARN", c->container_arn);
                networks(b, c, v);
                if (c->restart_count != NULL)
                        number(b, "RestartCount", c->restart_count->value);
        }
        buf_append(b, "}", 1);
}

/* ---- task ---- */

static void containers(struct buf *b, const Ecs__TaskFacts *t, enum api_version v)
{
        key(b, "Containers");
        buf_append(b, "[", 1);
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *c = t->containers[i];
                bool pulled = strcmp(c->known_status, "PULLED") == 0;
                if (*c->docker_id == '\0' && !(v == API_V4 && pulled))
                        continue;
                separate(b);
                render_container(b, c, v);
        }
        buf_append(b, "]", 1);
}

static void task_limits(struct buf *b, const Ecs__TaskFacts *t)
{
        if (t->cpu <= 0 && t->memory_mib <= 0)
                return;
        key(b, "Limits");
        buf_append(b, "{", 1);
        if (t->cpu > 0)
                decimal(b, "CPU", t->cpu);
        if (t->memory_mib > 0)
                number(b, "Memory", t->memory_mib);
        buf_append(b, "}", 1);
}

void render_task(struct buf *b, const struct metadata *m, const Ecs__TaskFacts *t,
                 enum api_version v)
{
        bool hide_zone = config_bool(m->config, "ECS_DISABLE_TASK_METADATA_AZ", false);
        buf_append(b, "{", 1);
        always(b, "Cluster", m->cluster);
        always(b, "TaskARN", t->arn);
        always(b, "Family", t->family);
        always(b, "Revision", t->version);
        omit(b, "DesiredStatus", t->desired_status);
        always(b, "KnownStatus", t->known_status);
        if (v != API_V4)
                containers(b, t, v);
        task_limits(b, t);
        time_ms(b, "PullStartedAt", t->pull_started_at_ms);
        time_ms(b, "PullStoppedAt", t->pull_stopped_at_ms);
        time_ms(b, "ExecutionStoppedAt", t->execution_stopped_at_ms);
        if (!hide_zone)
                omit(b, "AvailabilityZone", m->availability_zone);
        if (v == API_V4) {
                omit(b, "LaunchType", t->launch_type);
                containers(b, t, v);
                omit(b, "VPCID", m->vpc_id);
                omit(b, "ServiceName", t->service_name);
                key(b, "FaultInjectionEnabled");
                buf_append_str(b, t->enable_fault_injection ? "true" : "false");
                if (!hide_zone)
                        omit(b, "AvailabilityZoneID", m->availability_zone_id);
        }
        buf_append(b, "}", 1);
}

void render_credentials(struct buf *b, const Ecs__TaskCredentials *c)
{
        buf_append(b, "{", 1);
        always(b, "RoleArn", c->role_arn);
        always(b, "AccessKeyId", c->access_key_id);
        always(b, "SecretAccessKey", c->secret_access_key);
        always(b, "Token", c->session_token);
        always(b, "Expiration", c->expiration);
        buf_append(b, "}", 1);
}

/* ---- introspection ---- */

static const char *backend_status(const char *status)
{
        bool final = strcmp(status, "RUNNING") == 0 || strcmp(status, "STOPPED") == 0;
        return final ? status : "PENDING";
}

static void introspection_container(struct buf *b, const Ecs__ContainerFacts *c)
{
        buf_append(b, "{", 1);
        always(b, "DockerId", c->docker_id);
        always(b, "DockerName", c->docker_name);
        always(b, "Name", c->name);
        always(b, "Image", c->image);
        always(b, "ImageID", c->image_id);
        omit(b, "CreatedAt", c->created_at);
        omit(b, "StartedAt", c->started_at);
        ports(b, c, false);
        volumes(b, c);
        if (c->restart_count != NULL)
                number(b, "RestartCount", c->restart_count->value);
        buf_append(b, "}", 1);
}

void render_introspection_task(struct buf *b, const Ecs__TaskFacts *t)
{
        const char *known = backend_status(t->known_status);
        const char *desired = backend_status(t->desired_status);
        bool hidden = (strcmp(known, "STOPPED") == 0 && strcmp(desired, "STOPPED") != 0) ||
                      (strcmp(known, "RUNNING") == 0 && strcmp(desired, "PENDING") == 0);
        buf_append(b, "{", 1);
        always(b, "Arn", t->arn);
        if (!hidden)
                always(b, "DesiredStatus", desired);
        always(b, "KnownStatus", known);
        always(b, "Family", t->family);
        always(b, "Version", t->version);
        key(b, "Containers");
        buf_append(b, "[", 1);
        for (size_t i = 0; i < t->n_containers; i++) {
                const Ecs__ContainerFacts *c = t->containers[i];
                bool internal = strcmp(c->type, "NORMAL") != 0;
                if (internal || *c->docker_id == '\0')
                        continue;
                separate(b);
                introspection_container(b, c);
        }
        buf_append_str(b, "]}");
}
