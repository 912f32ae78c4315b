#!/usr/bin/env perl

# Consents while the store cannot be used: one that is given is served, and
# saved later; none is revoked, since it could come back.

use strict;
use warnings;

use IO::Handle;
use Test::Idpay;
use Test::Idpay::Consent qw(give watch);
use Test::Idpay::Gopay   qw(token_requests forget_requests profile);
use Test::Idpay::Process qw(wait_until);
use Test::More;

plan skip_all => 'no sqlite3' if !grep { -x "$_/sqlite3" } split /:/, $ENV{PATH};

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay', tls => 0);

$t->config(<<'CONF', workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_store %%TESTDIR%%/idpay.db key=file:%%SECRET_store%%;

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%% reuseport;

        location / { idpay_pass gopay; }
        location = /consent { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
        location /consents/ { idpay_consents gopay; }
    }
}
CONF
$t->run;
$t->allow_log(qr/\[alert\].*is not in the store and lost if nginx ends/);
$t->allow_log(qr/\[(?:alert|crit)\].*store/);

is give($t, $sim, 1)->status, 200, 'a consent';

# Somebody else writes, and does not come to an end.
my $dir = $t->dir;
open my $sql, '|-', 'sqlite3', "$dir/idpay.db" or die "sqlite3: $!";
$sql->autoflush;
print {$sql} "BEGIN EXCLUSIVE;\n.shell touch $dir/locked\n";
ok wait_until(20, sub { -e "$dir/locked" }), 'the database is locked';

is give($t, $sim, 2)->status, 200, 'another one, that cannot be saved';
is profile($t, 2)->status, 200, 'it is used';
is give($t, $sim, 1)->status, 200, 'the first one again';
is profile($t, 1)->status, 200, 'it is used';

for my $profile (1, 2) {
    my $r = $t->http(DELETE => "/consents/$profile");
    is $r->status, 503, "$profile is not revoked";
    is $r->json->{code}, 'credential_unavailable', 'with a reason';
}
is_deeply token_requests($sim)->{revoke}, undef,
    'the provider has not been asked';
is $t->get('/consents/1')->json->{generation}, 1, 'what there is can be read';

print {$sql} "ROLLBACK;\n.quit\n";
close $sql;


# Calls see to it that what was not saved is.
sub saved {
    my ($profile, $generation) = @_;

    return wait_until(70, sub {
        profile($t, $profile);
        my $stored = $t->get("/consents/$profile")->json->{generation} // 0;
        return 1 if $stored == $generation;
        sleep 1;
        return 0;
    });
}
ok saved(1, 2), 'the second pair of the first is saved later';
ok saved(2, 1), 'and that of the other';

$t->quit;
$t->run;
forget_requests($sim);
is profile($t, $_)->status, 200, "$_ is there after a restart" for 1, 2;
is_deeply token_requests($sim), {}, 'with its token';

is $t->http(DELETE => "/consents/$_")->status, 204, "$_ is revoked" for 1, 2;
is_deeply token_requests($sim), { revoke => { ok => 2 } },
    'by its refresh token';

watch($t, $sim);
done_testing;
