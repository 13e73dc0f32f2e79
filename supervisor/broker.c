/* broker: who may talk to whom. A request for a peer that is not ready is held until it is;
 * a request that can never be granted is refused at once. */
#include "supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mem.h"

#define WAITING_MAX 64 /* requests for one worker that is not ready */

struct waiting_request {
        struct waiting_request *next;
        struct ipc_request *request;
        unsigned asker;
};

/* Peers an asker may be connected to. */
static unsigned allowed(unsigned asker)
{
        if ((asker & (PEER_CTL | PEER_CTL_ROOT)) != 0)
                return PEER_BACKEND | PEER_ENGINE | PEER_METADATA |
                       (asker == PEER_CTL_ROOT ? PEER_LOCAL : 0u); /* it changes what happens */
        for (size_t i = 0; i < worker_row_count; i++)
                if (worker_rows[i].peer == asker)
                        return worker_rows[i].may_connect;
        return 0;
}

bool broker_may_connect(unsigned asker, unsigned peer)
{
        return peer != 0 && (allowed(asker) & peer) == peer;
}

static void grant(struct process *p, struct ipc_request *r, unsigned asker)
{
        int pair[2];
        if (ipc_request_connection(r) == NULL) {
                ipc_reply(r, NULL); /* the asker has gone meanwhile */
                return;
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
                ipc_reply_error(r, -errno, "no socketpair");
                return;
        }
        Ecs__PeerConnected connected = ECS__PEER_CONNECTED__INIT;
        connected.peer = (char *)ipc_peer_name(asker);
        Ecs__Envelope event = IPC_ENVELOPE(PEER_CONNECTED, peer_connected, &connected);
        Ecs__ConnectReply reply = ECS__CONNECT_REPLY__INIT;
        Ecs__Envelope answer = IPC_ENVELOPE(CONNECT_REPLY, connect_reply, &reply);
        int error = ipc_send_event_fds(p->control, &event, &pair[1], 1);
        if (error != 0)
                ipc_reply_error(r, error, "the peer has just ended");
        else
                ipc_reply_fds(r, &answer, &pair[0], 1);
        (void)close(pair[0]);
        (void)close(pair[1]);
}

/* Forgets requests whose asker has gone. Returns how many wait still. */
static size_t drop_deserted(struct process *p)
{
        size_t count = 0;
        for (struct waiting_request **at = &p->waiting; *at != NULL;) {
                struct waiting_request *w = *at;
                if (ipc_request_connection(w->request) != NULL) {
                        at = &w->next;
                        count++;
                        continue;
                }
                *at = w->next;
                ipc_reply(w->request, NULL);
                free(w);
        }
        return count;
}

void broker_connect(struct supervisor *s, struct ipc_request *r, unsigned asker,
                    const char *peer_name)
{
        unsigned peer = ipc_peer_from_name(peer_name);
        struct process *p = supervisor_find(s, peer_name);
        if (p == NULL || !broker_may_connect(asker, peer)) {
                log_warn(NULL, "connection refused: this pair may not talk",
                         LOG_STR("asker", ipc_peer_name(asker)), LOG_STR("peer", peer_name));
                ipc_reply_error(r, -EACCES, "this pair may not talk");
                return;
        }
        if ((p->state == P_READY || p->state == P_DEBUG) && p->reached_ready && p->control != NULL) {
                grant(p, r, asker);
                return;
        }
        if (drop_deserted(p) >= WAITING_MAX) {
                ipc_reply_error(r, -EBUSY, "too many wait for this worker");
                return;
        }
        struct waiting_request *w = mem_zalloc(sizeof *w);
        *w = (struct waiting_request){.next = p->waiting, .request = r, .asker = asker};
        p->waiting = w;
}

void broker_drop(struct process *p)
{
        while (p->waiting != NULL) {
                struct waiting_request *w = p->waiting;
                p->waiting = w->next;
                ipc_reply_error(w->request, -ECANCELED, "the supervisor stops");
                free(w);
        }
}

void broker_peer_ready(struct process *p)
{
        while (p->waiting != NULL) {
                struct waiting_request *w = p->waiting;
                p->waiting = w->next;
                grant(p, w->request, w->asker);
                free(w);
        }
}
