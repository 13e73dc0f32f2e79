/* What surrounds a task's containers, without Docker: which volumes it needs, what they are called,
 * what can never be made, when containers may be created. Rows E41-E50. */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "cleanup.h"
#include "engine_tasks.h"
#include "resource.h"
#include "task_cgroup.h"

static Ecs__VolumeSpec *volume(Ecs__TaskSpec *s, const char *name, const char *type,
                               const char *path, const char *scope)
{
        Ecs__VolumeSpec *v = mem_alloc(sizeof *v);
        ecs__volume_spec__init(v);
        v->name = mem_strdup(name);
        v->type = mem_strdup(type);
        v->source_path = mem_strdup(path);
        v->scope = mem_strdup(scope);
        s->volumes = mem_realloc_array(s->volumes, s->n_volumes + 1, sizeof v);
        s->volumes[s->n_volumes++] = v;
        return v;
}

static void mount(Ecs__ContainerSpec *c, const char *name)
{
        Ecs__MountPoint *m = mem_alloc(sizeof *m);
        ecs__mount_point__init(m);
        m->source_volume = mem_strdup(name);
        m->container_path = mem_strdup("/v");
        c->mount_points = mem_realloc_array(c->mount_points, c->n_mount_points + 1, sizeof m);
        c->mount_points[c->n_mount_points++] = m;
}

static void sources_are_paths_or_names(void **state)
{
        static const struct {
                const char *type, *path, *scope;
                const char *source;
                bool made;
        } cases[] = {
                {"",       "/srv", "",       "/srv",             false}, /* E41 */
                {"host",   "/srv", "",       "/srv",             false},
                {"",       "",     "",       "ecs-fam-3-v-0123", true }, /* E42 */
                {"docker", "",     "task",   "ecs-fam-3-v-0123", true }, /* E43 */
                {"docker", "",     "shared", "v",                true }, /* E44 */
                {"docker", "",     "",       "v",                true }, /* any other word */
        };
        const bool essential[] = {true};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                struct task *t = make_task(1, essential);
                (void)volume(t->spec, "v", cases[i].type, cases[i].path, cases[i].scope);
                mount(t->spec->containers[0], "v");
                mount(t->spec->containers[0], "v");
                cleanup_free char *source = resource_bind_source(t, "v");
                assert_string_equal(source, cases[i].source);
                assert_null(resource_bind_source(t, "w")); /* E47 */
                resource_plan(t);
                assert_int_equal(t->resource_count, cases[i].made);
                if (cases[i].made)
                        assert_string_equal(t->resources[0].name, cases[i].source);
                task_free(t);
        }
}

static void an_empty_volume_nobody_mounts_is_not_made(void **state)
{
        const bool essential[] = {true};
        struct task *t = make_task(1, essential);
        (void)state;
        (void)volume(t->spec, "v", "host", "", "");
        resource_plan(t);
        assert_int_equal(t->resource_count, 0);
        task_free(t);
}

static void containers_are_created_once_all_is_there(void **state)
{
        const bool essential[] = {true};
        struct task *t = make_task(1, essential);
        struct container *c = &t->containers[0];
        (void)state;
        (void)volume(t->spec, "v", "docker", "", "task");
        (void)volume(t->spec, "w", "docker", "", "shared");
        resource_plan(t);
        /* images are pulled meanwhile */
        assert_int_equal(container_next_step(c, true), STEP_MANIFEST);
        (void)container_apply(c, EV_MANIFEST_PULLED, NULL);
        assert_int_equal(container_next_step(c, true), STEP_PULL);
        (void)container_apply(c, EV_PULLED, NULL);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(container_next_step(c, true), STEP_NONE);
                cleanup_free char *why = task_waiting_for(t, true);
                assert_string_equal(
                        why, "container a waits for the volumes and the control group of its task");
                resource_next(t)->state = RESOURCE_CREATED;
        }
        assert_null(resource_next(t));
        assert_int_equal(container_next_step(c, true), STEP_CREATE);
        task_free(t);
}

static void a_task_volume_is_never_autoprovisioned(void **state)
{
        const bool essential[] = {true};
        struct task *t = make_task(1, essential);
        (void)state;
        Ecs__VolumeSpec *v = volume(t->spec, "v", "docker", "", "task");
        assert_null(resource_check(t));
        v->autoprovision = true;
        cleanup_free char *reason = resource_check(t);
        assert_string_equal(reason, "resource cannot be initialized for task " TEST_ARN
                                    ": volume [v] : task scoped volume could not be "
                                    "autoprovisioned");
        text_set(&v->scope, "shared");
        assert_null(resource_check(t));
        task_free(t);
}

static void labels_and_options_must_be_equal(void **state)
{
        /* E46; the volume wanted has one label a=b and no option */
        static const struct {
                const char *inspect;
                bool same;
        } cases[] = {
                {"{\"Labels\":{\"a\":\"b\"},\"Options\":null}",               true },
                {"{\"Labels\":{\"a\":\"b\"},\"Options\":{}}",                 true },
                {"{\"Labels\":{\"a\":\"c\"},\"Options\":{}}",                 false},
                {"{\"Labels\":{\"b\":\"b\"}}",                                false},
                {"{\"Labels\":{\"a\":\"b\",\"c\":\"d\"}}",                    false},
                {"{\"Labels\":{\"a\":1}}",                                    false},
                {"{\"Labels\":null}",                                         false},
                {"{\"Labels\":{\"a\":\"b\"},\"Options\":{\"type\":\"nfs\"}}", false},
        };
        const bool essential[] = {true};
        struct task *t = make_task(1, essential);
        (void)state;
        Ecs__VolumeSpec *v = volume(t->spec, "v", "docker", "", "shared");
        v->labels = mem_zalloc(sizeof *v->labels);
        v->labels[v->n_labels++] = mem_alloc(sizeof **v->labels);
        ecs__key_value__init(v->labels[0]);
        v->labels[0]->key = mem_strdup("a");
        v->labels[0]->value = mem_strdup("b");
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                cleanup_json json_t *inspect = json_loads(cases[i].inspect, 0, NULL);
                assert_non_null(inspect);
                if (resource_volume_matches(v, inspect) != cases[i].same)
                        fail_msg("%s", cases[i].inspect);
        }
        task_free(t);
}

static void limits_of_a_task_are_exact(void **state)
{
        /* E48 */
        static const struct {
                double cpu;
                int64_t memory_mib, period;
                uint32_t shares[2];
                int64_t quota, all_shares, memory;
        } cases[] = {
                {0.25,  512,   100000, {0, 0},                   25000,   0,      536870912  },
                {10,    0,     100000, {0, 0},                   1000000, 0,      0          },
                {0.1,   0,     8000,   {0, 0},                   800,     0,      0          },
                {0.333, 0,     100000, {0, 0},                   33300,   0,      0          },
                {0,     30720, 100000, {0, 1},                   0,       4,      32212254720},
                {0,     0,     100000, {512, 300},               0,       812,    0          },
                {0,     0,     100000, {262144, 1},              0,       262144, 0          },
                {0,     0,     100000, {UINT32_MAX, UINT32_MAX}, 0,       262144, 0          },
        };
        const bool essential[] = {true, true};
        (void)state;
        for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
                Ecs__TaskCgroup m = ECS__TASK_CGROUP__INIT;
                struct task *t = make_task(2, essential);
                t->spec->cpu = cases[i].cpu;
                t->spec->memory_mib = cases[i].memory_mib;
                for (size_t k = 0; k < 2; k++)
                        t->spec->containers[k]->cpu = cases[i].shares[k];
                task_cgroup_limits(t, cases[i].period, 7, &m);
                assert_int_equal(m.cpu_quota_us, cases[i].quota);
                assert_int_equal(m.cpu_period_us, cases[i].quota != 0 ? cases[i].period : 0);
                assert_int_equal(m.cpu_shares, cases[i].all_shares);
                assert_int_equal(m.memory_bytes, cases[i].memory);
                assert_int_equal(m.pids, 7);
                task_free(t);
        }
}

static void a_container_fits_into_its_task(void **state)
{
        /* E49, E50 */
        const bool essential[] = {true};
        struct task *t = make_task(1, essential);
        (void)state;
        t->spec->memory_mib = 64;
        t->spec->containers[0]->memory_mib = 65;
        assert_null(resource_check(t)); /* without limits nothing is compared */
        t->facts->cgroup_parent = task_cgroup_parent(TEST_ARN);
        assert_string_equal(t->facts->cgroup_parent, "/ecs/0123");
        cleanup_free char *reason = resource_check(t);
        assert_string_equal(reason, "resource cannot be initialized for task " TEST_ARN
                                    ": task memory spec builder: container memory limit(65) "
                                    "greater than task memory limit(64)");
        t->spec->containers[0]->memory_mib = 64;
        assert_null(resource_check(t));
        resource_plan(t);
        assert_int_equal(t->resource_count, 1);
        assert_int_equal(t->resources[0].kind, RESOURCE_CGROUP);
        task_free(t);
}

int main(void)
{
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(sources_are_paths_or_names),
                cmocka_unit_test(an_empty_volume_nobody_mounts_is_not_made),
                cmocka_unit_test(containers_are_created_once_all_is_there),
                cmocka_unit_test(a_task_volume_is_never_autoprovisioned),
                cmocka_unit_test(labels_and_options_must_be_equal),
                cmocka_unit_test(limits_of_a_task_are_exact),
                cmocka_unit_test(a_container_fits_into_its_task),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
