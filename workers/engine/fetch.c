/* fetch: a job is one reference; wants hang on it. It is in turn (QUEUED), asks Docker (RUNNING) or
 * rests after a failed try (RESTING), which takes no place. Trap: a call given up still reports;
 * its job lives until then, found by nobody. */
#include "fetch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backoff.h"
#include "cleanup.h"
#include "clock.h"
#include "duration.h"
#include "image_ref.h"
#include "mem.h"
#include "pull_progress.h"
#include "pull_reason.h"
#include "random.h"
#include "registry_auth.h"

#define FIRST_LINE_MS 300000
#define TAG_TRIES 5
#define TAG_AGAIN_MS 100
#define TAG_MS 30000

static const struct {
        struct backoff backoff;
        unsigned tries;
        const char *error, *word;
} kinds[] = {
        [FETCH_DIGEST] = {{.min_ms = 10, .max_ms = 5000, .jitter = 0.2, .multiple = 3},
                          9, "CannotPullImageManifestError",
                          "MANIFEST_PULLED"},
        [FETCH_IMAGE] = {{.min_ms = 1100, .max_ms = 5000, .jitter = 0.2, .multiple = 2},
                          5, "CannotPullContainerError",
                          "pulled"         },
};

enum job_state { QUEUED, RUNNING, RESTING };

struct job {
        struct job *next;
        struct fetches *fetches;
        enum fetch_kind kind;
        char *image, *digest;
        struct image_ref ref;
        bool once;
        struct fetch_want *wants;
        enum job_state state;
        bool begun, given_up, over;
        unsigned tries, tag_tries;
        struct backoff backoff;
        uint64_t started_ms; /* first try; 0 = none yet */
        uv_timer_t timer;
        struct docker_call *call; /* NULL between calls */
        struct pull_progress progress;
};

struct fetch_want {
        struct fetch_want *next;
        struct job *job;
        void (*begun)(void *arg);
        fetch_done_fn done;
        void *arg;
};

struct fetches {
        uv_loop_t *loop;
        struct docker *docker;
        struct fetch_settings settings;
        struct job *jobs; /* in order of arrival */
        bool closing;
};

static void start_next(struct fetches *f);

/* ---- jobs ---- */

static void on_timer_closed(uv_handle_t *h)
{
        struct job *j = h->data;
        image_ref_deinit(&j->ref);
        free(j->image);
        free(j->digest);
        free(j);
}

/* No call of it may be under way. */
static void job_free(struct job *j)
{
        for (struct job **at = &j->fetches->jobs; *at != NULL; at = &(*at)->next)
                if (*at == j) {
                        *at = j->next;
                        break;
                }
        uv_close((uv_handle_t *)&j->timer, on_timer_closed);
}

static struct job *find_job(struct fetches *f, const struct fetch_request *r)
{
        for (struct job *j = f->jobs; j != NULL; j = j->next)
                if (!j->given_up && !j->over && j->kind == r->kind &&
                    strcmp(j->image, r->image) == 0 && strcmp(j->digest, r->digest) == 0)
                        return j;
        return NULL;
}

static struct job *job_new(struct fetches *f, const struct fetch_request *r)
{
        struct job *j = mem_zalloc(sizeof *j);
        struct job **at = &f->jobs;
        *j = (struct job){
                .fetches = f,
                .kind = r->kind,
                .image = mem_strdup(r->image),
                .digest = mem_strdup(r->digest),
                .once = r->once,
                .backoff = kinds[r->kind].backoff,
        };
        image_ref_init(&j->ref, r->image);
        (void)uv_timer_init(f->loop, &j->timer);
        j->timer.data = j;
        while (*at != NULL)
                at = &(*at)->next;
        *at = j;
        return j;
}

/* Tells all who wait and ends the job. They may start and leave other fetches meanwhile. */
static void job_end(struct job *j, enum fetch_outcome outcome, const char *digest,
                    const char *reason)
{
        struct fetches *f = j->fetches;
        j->over = true;
        while (j->wants != NULL) {
                struct fetch_want *w = j->wants;
                j->wants = w->next;
                w->done(w->arg, outcome, digest, reason);
                free(w);
        }
        job_free(j);
        start_next(f);
}

static void job_fail(struct job *j, const char *text)
{
        cleanup_free char *reason = pull_reason(kinds[j->kind].error, j->image, text);
        job_end(j, FETCH_FAILED, "", reason);
}

static void job_time_out(struct job *j, const char *word, uint32_t limit_ms)
{
        char limit[DURATION_TEXT];
        cleanup_free char *reason = mem_printf(
                "DockerTimeoutError: Could not transition to %s; timed out after waiting %s", word,
                duration_format((int64_t)limit_ms * 1000000, limit));
        job_end(j, FETCH_FAILED, "", reason);
}

static uint32_t limit_of(const struct job *j)
{
        const struct fetch_settings *s = &j->fetches->settings;
        return j->kind == FETCH_DIGEST ? s->manifest_ms : s->pull_ms;
}

/* What is left of the limit for all tries, unscaled; 0 = nothing. */
static uint32_t left_of(const struct job *j)
{
        uint64_t gone = (clock_now_ms() - j->started_ms) * clock_scale();
        return gone < limit_of(j) ? limit_of(j) - (uint32_t)gone : 0;
}

static void on_rested(uv_timer_t *t)
{
        struct job *j = t->data;
        j->state = QUEUED;
        start_next(j->fetches);
}

static void rest(struct job *j)
{
        j->state = RESTING;
        (void)uv_timer_start(&j->timer, on_rested,
                             clock_wait_ms(backoff_next(&j->backoff, random_unit())), 0);
        start_next(j->fetches);
}

/* A call has ended. True when the job goes on with its answer. */
static bool take_answer(struct job *j, const struct docker_answer *a)
{
        struct fetches *f = j->fetches;
        j->call = NULL;
        if (j->given_up || f->closing) {
                job_free(j);
                if (!f->closing)
                        start_next(f);
                return false;
        }
        if (a->error == -ECONNREFUSED || a->error == -ECANCELED || a->error == -EHOSTUNREACH) {
                job_end(j, FETCH_OUTAGE, "", "");
                return false;
        }
        return true;
}

/* A try has failed. */
static void try_again(struct job *j, const struct docker_answer *a)
{
        bool last = j->once || ++j->tries >= kinds[j->kind].tries;
        if (a->error == -ETIMEDOUT || left_of(j) == 0) {
                job_time_out(j, kinds[j->kind].word, limit_of(j));
        } else if (!last) {
                rest(j);
        } else if (a->error == -ETIME) {
                job_time_out(j, "pullBegin", FIRST_LINE_MS);
        } else if (a->status != 0 && a->error == 0) {
                cleanup_free char *text = mem_printf("Error response from daemon: %s", a->text);
                job_fail(j, text);
        } else {
                job_fail(j, a->text);
        }
}

/* ---- a digest ---- */

static void on_manifest(void *arg, const struct docker_answer *a)
{
        static const char *const without[] = {
                "application/vnd.docker.distribution.manifest.v1+json",
                "application/vnd.docker.distribution.manifest.v1+prettyjws",
        };
        struct job *j = arg;
        if (!take_answer(j, a))
                return;
        const json_t *d = json_object_get(a->body, "Descriptor");
        const char *digest = json_string_value(json_object_get(d, "digest"));
        const char *type = json_string_value(json_object_get(d, "mediaType"));
        if (a->error != 0 || a->status != 200 || digest == NULL || *digest == '\0') {
                try_again(j, a);
                return;
        }
        for (size_t i = 0; type != NULL && i < ARRAY_SIZE(without); i++)
                if (strcmp(type, without[i]) == 0)
                        digest = "";
        job_end(j, FETCH_DONE, digest, "");
}

/* ---- an image ---- */

static void tag(struct job *j);

static void on_tag_again(uv_timer_t *t)
{
        tag(t->data);
}

static void on_tagged(void *arg, const struct docker_answer *a)
{
        struct job *j = arg;
        if (!take_answer(j, a))
                return;
        if (a->error == 0 && a->status < 300) {
                job_end(j, FETCH_DONE, "", "");
        } else if (++j->tag_tries < TAG_TRIES) {
                (void)uv_timer_start(&j->timer, on_tag_again, clock_wait_ms(TAG_AGAIN_MS), 0);
        } else if (a->error == -ETIMEDOUT) {
                job_time_out(j, kinds[j->kind].word, TAG_MS);
        } else {
                cleanup_free char *text = mem_printf(
                        "%s%s", a->status != 0 ? "Error response from daemon: " : "", a->text);
                job_fail(j, text);
        }
}

/* What was pulled by digest gets the name that the container is made from. */
static void tag(struct job *j)
{
        cleanup_free char *repo = docker_escape(j->ref.name);
        cleanup_free char *name = docker_escape(image_ref_version(&j->ref));
        cleanup_free char *path =
                mem_printf("/images/%s@%s/tag?repo=%s&tag=%s", j->ref.name, j->digest, repo, name);
        j->call = docker_start(j->fetches->docker, "POST", path, NULL, TAG_MS, on_tagged, j);
}

static void on_pulled(void *arg, const struct docker_answer *a)
{
        struct job *j = arg;
        if (!take_answer(j, a))
                return;
        if (a->error != 0 || a->status != 200)
                try_again(j, a);
        else if (*j->digest != '\0' && *j->ref.digest == '\0')
                tag(j);
        else
                job_end(j, FETCH_DONE, "", "");
}

static void on_line(void *arg, const json_t *line)
{
        pull_progress_take(&((struct job *)arg)->progress, line);
}

/* ---- turns ---- */

static void begin(struct job *j)
{
        struct fetches *f = j->fetches;
        const struct fetch_settings *s = &f->settings;
        char *auth = registry_auth_header(s->auth_type, s->auth_data, j->image);
        const char *version = *j->digest != '\0' ? j->digest : image_ref_version(&j->ref);
        if (j->started_ms == 0)
                j->started_ms = clock_now_ms();
        uint32_t left = left_of(j) > 0 ? left_of(j) : 1;
        j->state = RUNNING;
        if (j->kind == FETCH_DIGEST) {
                cleanup_free char *path = mem_printf("/distribution/%s:%s/json", j->ref.name,
                                                     image_ref_version(&j->ref));
                j->call = docker_ask_registry(f->docker, path, auth, left, on_manifest, j);
        } else {
                const struct docker_pull_limits limits = {left, FIRST_LINE_MS, s->silence_ms};
                memset(&j->progress, 0, sizeof j->progress);
                j->call = docker_pull(f->docker, j->ref.name, version, auth, &limits, on_line,
                                      on_pulled, j);
        }
        registry_auth_free(auth);
        for (struct fetch_want *w = j->wants; w != NULL && !j->begun; w = w->next)
                if (w->begun != NULL)
                        w->begun(w->arg);
        j->begun = true;
}

static void start_next(struct fetches *f)
{
        unsigned running = 0;
        for (const struct job *j = f->jobs; j != NULL; j = j->next)
                running += j->kind == FETCH_IMAGE && j->state == RUNNING && !j->over;
        for (struct job *j = f->jobs; j != NULL && !f->closing; j = j->next) {
                if (j->state != QUEUED || j->over || j->given_up)
                        continue;
                if (j->kind == FETCH_IMAGE && running >= f->settings.at_once)
                        continue;
                running += j->kind == FETCH_IMAGE;
                begin(j);
        }
}

/* ---- wishes ---- */

struct fetch_want *fetch_start(struct fetches *f, const struct fetch_request *r)
{
        struct job *j = find_job(f, r);
        struct fetch_want *w = mem_zalloc(sizeof *w);
        if (j == NULL)
                j = job_new(f, r);
        *w = (struct fetch_want){
                .next = j->wants, .job = j, .begun = r->begun, .done = r->done, .arg = r->arg};
        j->wants = w;
        if (j->begun && w->begun != NULL)
                w->begun(w->arg);
        start_next(f);
        return w;
}

void fetch_leave(struct fetch_want *w)
{
        struct job *j = w->job;
        for (struct fetch_want **at = &j->wants; *at != NULL; at = &(*at)->next)
                if (*at == w) {
                        *at = w->next;
                        break;
                }
        free(w);
        if (j->wants != NULL || j->over)
                return;
        j->given_up = true;
        if (j->call != NULL)
                docker_cancel(j->call);
        else
                job_free(j);
}

char *fetch_describe(const struct fetch_want *w)
{
        const struct job *j = w->job;
        char progress[PULL_PROGRESS_TEXT];
        if (j->kind == FETCH_DIGEST)
                return mem_printf("looking up the digest of %s%s", j->image,
                                  j->state == RESTING ? ", to be tried again" : "");
        if (j->state == RESTING)
                return mem_printf("pulling %s: try %u failed, to be tried again", j->image,
                                  j->tries);
        if (j->state == QUEUED)
                return mem_printf("pulling %s: in turn behind %u other pulls", j->image,
                                  j->fetches->settings.at_once);
        (void)pull_progress_text(&j->progress, progress);
        return *progress != '\0' ? mem_printf("pulling %s: %s", j->image, progress)
                                 : mem_printf("pulling %s", j->image);
}

bool fetch_is_under_way(const struct fetches *f, const char *image)
{
        for (const struct job *j = f->jobs; j != NULL; j = j->next)
                if (!j->over && image_ref_same(j->image, image))
                        return true;
        return false;
}

/* ---- life ---- */

struct fetches *fetches_new(uv_loop_t *loop, struct docker *docker,
                            const struct fetch_settings *settings)
{
        struct fetches *f = mem_zalloc(sizeof *f);
        *f = (struct fetches){.loop = loop, .docker = docker, .settings = *settings};
        return f;
}

void fetches_close(struct fetches *f)
{
        if (f == NULL)
                return;
        f->closing = true;
        for (struct job *j = f->jobs, *next; j != NULL; j = next) {
                next = j->next;
                while (j->wants != NULL) {
                        struct fetch_want *w = j->wants;
                        j->wants = w->next;
                        free(w);
                }
                if (j->call == NULL)
                        job_free(j);
        }
}

void fetches_free(struct fetches *f)
{
        free(f);
}
