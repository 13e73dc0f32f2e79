/* ecs-host-rules: runs the nftables commands on its standard input, all or none; says on standard
 * error what is wrong with them. A program of its own, so that the process that stays root does not
 * carry libnftables and what it loads. */
#include <nftables/libnftables.h>
#include <stdio.h>

#define COMMANDS_MAX 65536

int main(void)
{
        static char commands[COMMANDS_MAX];
        size_t length = fread(commands, 1, sizeof commands - 1, stdin);
        if (length == sizeof commands - 1) {
                (void)fputs("too many commands", stderr);
                return 2;
        }
        /* libnftables itself ends the process where it may not use netlink */
        struct nft_ctx *n = nft_ctx_new(NFT_CTX_DEFAULT);
        (void)nft_ctx_buffer_error(n);
        (void)nft_ctx_buffer_output(n);
        int r = nft_run_cmd_from_buffer(n, commands);
        if (r != 0)
                (void)fputs(nft_ctx_get_error_buffer(n), stderr);
        nft_ctx_free(n);
        return r != 0;
}
