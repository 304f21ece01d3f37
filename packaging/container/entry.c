/* The program that the container calls `jellyvault`: becomes the user of PUID and PGID, sets UMASK, and runs the real one, which is
 * in /usr/lib/jellyvault. So the service, the health check and `docker exec … jellyvault` all run as the same user.
 *
 * The image has no shell that could do this. C, because the crate forbids unsafe code and setuid(2) has no safe wrapper in Rust's
 * standard library. packaging/oci compiles it with the C compiler of the static binaries. */

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define REAL "/usr/lib/jellyvault/jellyvault"

/* The number in a variable of the environment, or -1 if the variable is not set or empty. */
static long number(const char *name, int base, long highest) {
    const char *text = getenv(name);
    if (!text || !*text) return -1;
    char *end;
    errno = 0;
    long value = strtol(text, &end, base);
    if (errno || *end || value < 0 || value > highest) {
        fprintf(stderr, "Error: %s is \"%s\", which is not %s.\n", name, text, base == 8 ? "a mode like 022" : "a number");
        exit(2);
    }
    return value;
}

static void must(int result, const char *what, long id) {
    if (!result) return;
    fprintf(stderr, "Error: cannot become %s %ld: %s.\n"
            "Hint: give the container the capabilities SETUID and SETGID, or leave out PUID and PGID and set user: instead.\n",
            what, id, strerror(errno));
    exit(1);
}

int main(int argc, char **argv) {
    (void)argc;
    long uid = number("PUID", 10, 0x7ffffffe), gid = number("PGID", 10, 0x7ffffffe), mask = number("UMASK", 8, 0777);
    if (mask >= 0) umask((mode_t)mask);
    if (geteuid() == 0 && (uid > 0 || gid > 0)) {
        if (uid < 0) uid = 0;
        if (gid < 0) gid = uid;
        must(setgroups(0, NULL), "a user without other groups, user", uid);
        must(setgid((gid_t)gid), "group", gid);
        /* Of root, this gives up all capabilities as well. */
        must(setuid((uid_t)uid), "user", uid);
    } else if (uid >= 0 && (uid_t)uid != geteuid()) {
        /* Started with user: or --user, so there is nothing to change and no right to. */
        fprintf(stderr, "Error: PUID is %ld, but the container was started as user %d. Set only one of them.\n", uid, (int)geteuid());
        exit(1);
    }
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "a user without new privileges, user", (long)geteuid());
    execv(REAL, argv);
    fprintf(stderr, "Error: cannot run " REAL ": %s.\n", strerror(errno));
    return 127;
}
