/* pull: a container's way to its image, in two steps: the digest its tag stands for now, told to
 * ECS, then the image of that digest. ECS_IMAGE_PULL_BEHAVIOR decides whether the registry is asked
 * and what a failure means. Each part looks at the local image first. Source: engine.md 5. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "clock.h"
#include "engine.h"
#include "image_ref.h"
#include "images.h"
#include "inspect_json.h"
#include "mem.h"
#include "registry_auth.h"

#define INSPECT_MS 30000
#define DIGEST_MINOR 35 /* digests are looked up from API 1.35 on */
#define AGAIN_MS 500

enum behavior { DEFAULT, ALWAYS, ONCE, PREFER_CACHED };

struct pull_run {
        struct engine *engine;
        char *arn, *name;
        bool pulled; /* the registry was asked, and gave the image */
        char *error; /* why it did not */
};

static enum behavior behavior(const struct engine *e)
{
        static const char *const words[] = {[DEFAULT] = "default",
                                            [ALWAYS] = "always",
                                            [ONCE] = "once",
                                            [PREFER_CACHED] = "prefer-cached"};
        const char *b = config_text(e->config, "ECS_IMAGE_PULL_BEHAVIOR", "default");
        for (size_t i = 0; i < ARRAY_SIZE(words); i++)
                if (strcmp(words[i], b) == 0)
                        return (enum behavior)i;
        return DEFAULT;
}

/* A failure of the registry ends the task; what is here is not used in its place. */
static bool is_strict(const struct engine *e)
{
        return behavior(e) == ALWAYS || behavior(e) == ONCE;
}

/* Whether the registry is asked. here: the image is here. */
static bool needs_registry(const struct engine *e, const char *image, bool here)
{
        const struct image *known;
        switch (behavior(e)) {
        case ONCE:
                known = images_find_name(&e->images, image);
                return !here || known == NULL || !known->pull_succeeded;
        case PREFER_CACHED:
                return !here;
        default:
                return true;
        }
}

/* ---- runs ---- */

static struct container *run_container(const struct pull_run *p)
{
        struct task *t = engine_find_task(p->engine, p->arn);
        struct container *c = t != NULL ? task_find_container(t, p->name) : NULL;
        /* the step was given up meanwhile: whatever is under way is another's */
        return c != NULL && c->pull == p ? c : NULL;
}

static void run_free(struct pull_run *p)
{
        free(p->arn);
        free(p->name);
        free(p->error);
        free(p);
}

static void leave(struct pull_run *p, struct container *c)
{
        if (c != NULL) {
                c->step = STEP_NONE;
                c->pull = NULL;
                c->fetch = NULL;
        }
        run_free(p);
}

static void run_again(struct pull_run *p, struct container *c)
{
        struct engine *e = p->engine;
        leave(p, c);
        if (c == NULL)
                return;
        c->retry_at_ms = clock_now_ms() + clock_wait_ms(AGAIN_MS);
        engine_progress(e, c->task);
}

/* reason: NULL for good ends. */
static void run_end(struct pull_run *p, struct container *c, enum container_event ev,
                    const char *reason)
{
        struct engine *e = p->engine;
        (void)container_apply(c, ev, reason);
        leave(p, c);
        engine_commit(e, c->task);
}

/* The image cannot be had. */
static void run_fail(struct pull_run *p, struct container *c, const char *reason)
{
        log_warn(&c->log, "the image cannot be had", LOG_STR("reason", reason));
        if (is_strict(p->engine))
                task_want_stopped(c->task, NULL);
        run_end(p, c, EV_PULL_FAILED, reason);
}

static void inspect_image(struct pull_run *p, const struct container *c, docker_done_fn done)
{
        /* slashes stay: the name is a path to Docker */
        cleanup_free char *path = mem_printf("/images/%s/json", c->spec->image);
        docker_call(p->engine->docker, "GET", path, NULL, INSPECT_MS, done, p);
}

/* Docker has not said whether the image is here. */
static bool is_unknown(const struct docker_answer *a)
{
        return a->error != 0 || (a->status != 200 && a->status != 404);
}

/* No registry knows it: built or loaded on this host. */
static bool is_local(const struct docker_answer *a)
{
        return a->status == 200 && json_array_size(json_object_get(a->body, "RepoDigests")) == 0;
}

static void want(struct pull_run *p, struct container *c, const struct fetch_request *r)
{
        c->fetch = fetch_start(p->engine->fetches, r);
}

/* ---- the digest ---- */

/* The step's end. A digest that was resolved here is stored and told before the image is pulled;
 * without one there is nothing to tell, and the next step follows at once. */
static void have_digest(struct pull_run *p, struct container *c, const char *digest)
{
        struct engine *e = p->engine;
        if (*digest != '\0') {
                text_set(&c->facts->image_digest, digest);
                c->digest_resolved = true;
                run_end(p, c, EV_MANIFEST_PULLED, NULL);
                return;
        }
        (void)container_apply(c, EV_MANIFEST_PULLED, NULL);
        leave(p, c);
        engine_progress(e, c->task);
}

static void on_digest(void *arg, enum fetch_outcome outcome, const char *digest, const char *reason)
{
        struct pull_run *p = arg;
        struct container *c = run_container(p);
        c->fetch = NULL;
        if (outcome == FETCH_OUTAGE) {
                run_again(p, c);
        } else if (outcome == FETCH_DONE) {
                have_digest(p, c, digest);
        } else if (is_strict(p->engine)) {
                run_fail(p, c, reason);
        } else {
                log_warn(&c->log, "the digest of the image cannot be had, going on without",
                         LOG_STR("reason", reason));
                have_digest(p, c, "");
        }
}

/* The digest under which the image here was pulled. */
static void local_digest(struct pull_run *p, struct container *c, const json_t *image)
{
        struct image_ref r;
        image_ref_init(&r, c->spec->image);
        const char *digest = image_ref_find_digest(&r, json_object_get(image, "RepoDigests"));
        image_ref_deinit(&r);
        if (digest != NULL) {
                have_digest(p, c, digest);
                return;
        }
        cleanup_free char *reason =
                mem_printf("CannotPullImageManifestError: failed to find a repo digest matching "
                           "'%s'",
                           c->spec->image);
        if (is_strict(p->engine))
                run_fail(p, c, reason);
        else
                have_digest(p, c, "");
}

static void on_manifest_look(void *arg, const struct docker_answer *a)
{
        struct pull_run *p = arg;
        struct container *c = run_container(p);
        if (c == NULL || is_unknown(a)) {
                run_again(p, c);
                return;
        }
        bool ask = needs_registry(p->engine, c->spec->image, a->status == 200);
        if (is_local(a) && !(ask && is_strict(p->engine))) {
                have_digest(p, c, "");
        } else if (!ask) {
                local_digest(p, c, a->body);
        } else {
                const struct fetch_request r = {.kind = FETCH_DIGEST,
                                                .image = c->spec->image,
                                                .digest = "",
                                                .done = on_digest,
                                                .arg = p};
                want(p, c, &r);
        }
}

static void start_manifest(struct pull_run *p, struct container *c)
{
        struct image_ref r;
        image_ref_init(&r, c->spec->image);
        bool given = *r.digest != '\0';
        if (given)
                text_set(&c->facts->image_digest, r.digest);
        image_ref_deinit(&r);
        if (given || !docker_speaks(p->engine->docker, DIGEST_MINOR))
                have_digest(p, c, "");
        else
                inspect_image(p, c, on_manifest_look);
}

/* ---- the image ---- */

/* The image is here, pulled or found. */
static void have_image(struct pull_run *p, struct container *c, const json_t *image)
{
        struct engine *e = p->engine;
        (void)images_note(&e->images, c->spec->image, image, p->pulled, clock_wall_ms());
        inspect_json_apply_image(c, image);
        if (p->error != NULL)
                log_warn(&c->log, "pull failed, using the image that is here",
                         LOG_STR("reason", p->error));
        run_end(p, c, EV_PULLED, NULL);
}

static void on_image(void *arg, const struct docker_answer *a)
{
        struct pull_run *p = arg;
        struct container *c = run_container(p);
        if (c == NULL || is_unknown(a))
                run_again(p, c);
        else if (a->status == 200)
                have_image(p, c, a->body);
        else
                run_fail(p, c,
                         p->error != NULL ? p->error
                                          : "CannotPullContainerError: the image has gone");
}

static void on_begun(void *arg)
{
        struct pull_run *p = arg;
        struct task *t = engine_find_task(p->engine, p->arn);
        if (t != NULL && t->facts->pull_started_at_ms == 0) {
                t->facts->pull_started_at_ms = clock_wall_ms();
                t->dirty = true;
        }
}

static void on_pulled(void *arg, enum fetch_outcome outcome, const char *digest, const char *reason)
{
        struct pull_run *p = arg;
        struct container *c = run_container(p);
        (void)digest;
        c->fetch = NULL;
        if (outcome == FETCH_OUTAGE) {
                run_again(p, c);
                return;
        }
        c->task->facts->pull_stopped_at_ms = clock_wall_ms();
        p->pulled = outcome == FETCH_DONE;
        if (outcome == FETCH_FAILED && is_strict(p->engine)) {
                run_fail(p, c, reason);
                return;
        }
        if (outcome == FETCH_FAILED)
                p->error = mem_strdup(reason);
        inspect_image(p, c, on_image);
}

static void on_image_look(void *arg, const struct docker_answer *a)
{
        struct pull_run *p = arg;
        struct container *c = run_container(p);
        if (c == NULL || is_unknown(a)) {
                run_again(p, c);
                return;
        }
        if (!needs_registry(p->engine, c->spec->image, a->status == 200)) {
                have_image(p, c, a->body);
                return;
        }
        const struct fetch_request r = {
                .kind = FETCH_IMAGE,
                .image = c->spec->image,
                .digest = c->facts->image_digest,
                .once = is_local(a) && !is_strict(p->engine),
                .begun = on_begun,
                .done = on_pulled,
                .arg = p,
        };
        want(p, c, &r);
}

static void start_pull(struct pull_run *p, struct container *c)
{
        inspect_image(p, c, on_image_look);
}

/* ---- */

void pull_step(struct engine *e, struct container *c, enum step step)
{
        struct pull_run *p = mem_zalloc(sizeof *p);
        *p = (struct pull_run){.engine = e,
                               .arn = mem_strdup(c->task->spec->arn),
                               .name = mem_strdup(c->spec->name)};
        c->step = step;
        c->pull = p;
        if (step == STEP_MANIFEST)
                start_manifest(p, c);
        else
                start_pull(p, c);
}

bool pull_give_up(struct container *c)
{
        struct pull_run *p = c->pull;
        if (p == NULL)
                return false;
        struct fetch_want *fetch = c->fetch;
        c->step = STEP_NONE;
        c->pull = NULL;
        c->fetch = NULL;
        if (fetch != NULL) {
                fetch_leave(fetch);
                run_free(p);
        }
        /* else a look is under way, which ends the run */
        return true;
}

char *pull_describe(const struct task *t)
{
        for (size_t i = 0; i < t->container_count; i++)
                if (t->containers[i].fetch != NULL)
                        return fetch_describe(t->containers[i].fetch);
        return NULL;
}

struct fetches *pull_new_fetches(struct engine *e, uv_loop_t *loop)
{
        const struct config *c = e->config;
        const struct fetch_settings s = {
                .manifest_ms = (uint32_t)config_int(c, "ECS_MANIFEST_PULL_TIMEOUT", 60000),
                .pull_ms = (uint32_t)config_int(c, "ECS_IMAGE_PULL_TIMEOUT", 7200000),
                .silence_ms = (uint32_t)config_int(c, "ECS_IMAGE_PULL_INACTIVITY_TIMEOUT", 60000),
                .at_once = (unsigned)config_int(c, "ECS_IMAGE_PULLS_AT_ONCE", 10),
                .auth_type = config_find(c, "ECS_ENGINE_AUTH_TYPE"),
                .auth_data = config_find(c, "ECS_ENGINE_AUTH_DATA"),
        };
        const char *problem = registry_auth_problem(s.auth_type, s.auth_data);
        if (problem != NULL)
                log_warn(e->log, "images are pulled without credentials",
                         LOG_STR("reason", problem));
        return fetches_new(loop, e->docker, &s);
}
