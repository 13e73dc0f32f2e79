/* inventory: what registration needs to know of the host. Source: backend.md 4.2. */
#include "supervisor.h"

#include <dirent.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cleanup.h"
#include "mem.h"

static uint64_t memory_mib(void)
{
        char line[256];
        unsigned long long kib = 0;
        cleanup_file FILE *f = fopen("/proc/meminfo", "re");
        while (f != NULL && fgets(line, sizeof line, f) != NULL)
                if (sscanf(line, "MemTotal: %llu kB", &kib) == 1)
                        break;
        return kib / 1024;
}

static char **plugins(const char *dir, size_t *ret_count)
{
        char **list = NULL;
        size_t count = 0;
        DIR *d = opendir(dir);
        const struct dirent *e;
        while (d != NULL && (e = readdir(d)) != NULL) {
                if (e->d_name[0] == '.')
                        continue;
                list = mem_realloc_array(list, count + 1, sizeof *list);
                list[count++] = mem_strdup(e->d_name);
        }
        if (d != NULL)
                (void)closedir(d);
        *ret_count = count;
        return list;
}

void handle_get_host_inventory(void *context, struct ipc_request *r, const Ecs__Envelope *m)
{
        const struct process *p = context;
        const struct config *c = p->supervisor->config;
        cpu_set_t set;
        (void)m;
        Ecs__HostInventory i = ECS__HOST_INVENTORY__INIT;
        if (sched_getaffinity(0, sizeof set, &set) == 0)
                i.cpus = (uint32_t)CPU_COUNT(&set);
        i.memory_mib = memory_mib();
        i.task_cgroups = config_bool(c, "ECS_ENABLE_TASK_CPU_MEM_LIMIT", false);
        i.cni_plugins = plugins(config_text(c, "ECS_CNI_PLUGINS_PATH", "/nowhere"),
                                &i.n_cni_plugins);
        Ecs__Envelope e = IPC_ENVELOPE(HOST_INVENTORY, host_inventory, &i);
        ipc_reply(r, &e);
        for (size_t k = 0; k < i.n_cni_plugins; k++)
                free(i.cni_plugins[k]);
        free(i.cni_plugins);
}
