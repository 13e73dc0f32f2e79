/* peer: names of the processes as the Connect broker and handler rows use them. */
#include "connection.h"

#include <string.h>

#include "cleanup.h"

static const struct {
        const char *name;
        unsigned peer;
} peers[] = {
        {"supervisor", PEER_SUPERVISOR},
        {"backend",    PEER_BACKEND   },
        {"engine",     PEER_ENGINE    },
        {"metadata",   PEER_METADATA  },
        {"local",      PEER_LOCAL     },
        {"ctl-root",   PEER_CTL_ROOT  },
        {"ctl",        PEER_CTL       }, /* last: who is ctl-root is ctl as well */
};

unsigned ipc_peer_from_name(const char *name)
{
        for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
                if (strcmp(peers[i].name, name) == 0)
                        return peers[i].peer;
        return 0;
}

const char *ipc_peer_name(unsigned peer)
{
        for (size_t i = 0; i < ARRAY_SIZE(peers); i++)
                if ((peers[i].peer & peer) != 0)
                        return peers[i].name;
        return "unknown";
}
