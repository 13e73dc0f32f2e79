/* task_cgroup: a task with a CPU size gets a quota; one without, the sum of its containers' shares,
 * as if they stood side by side. */
#include "task_cgroup.h"

#include "mem.h"

#define MIB 1048576
#define SHARES_MIN 2
#define SHARES_MAX 262144

char *task_cgroup_parent(const char *arn)
{
        return mem_printf("/ecs/%s", task_id(arn));
}

static int64_t shares_of(const struct task *t)
{
        int64_t sum = 0;
        for (size_t i = 0; i < t->container_count; i++) {
                uint32_t cpu = t->containers[i].spec->cpu;
                sum += cpu < SHARES_MIN ? SHARES_MIN : cpu;
        }
        return sum > SHARES_MAX ? SHARES_MAX : sum;
}

void task_cgroup_limits(const struct task *t, int64_t period_us, int64_t pids, Ecs__TaskCgroup *m)
{
        if (t->spec->cpu > 0) {
                m->cpu_period_us = period_us;
                m->cpu_quota_us = (int64_t)(t->spec->cpu * (double)period_us);
        } else {
                m->cpu_shares = shares_of(t);
        }
        m->memory_bytes = t->spec->memory_mib * MIB;
        m->pids = pids;
}

char *task_cgroup_check(const struct task *t)
{
        if (t->spec->memory_mib <= 0)
                return NULL;
        for (size_t i = 0; i < t->container_count; i++) {
                uint32_t memory = t->containers[i].spec->memory_mib;
                if (memory > t->spec->memory_mib)
                        return mem_printf("task memory spec builder: container memory limit(%u) "
                                          "greater than task memory limit(%lld)",
                                          memory, (long long)t->spec->memory_mib);
        }
        return NULL;
}
