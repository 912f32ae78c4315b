# With a store, tokens outlive all that happens to nginx: a reload, a new binary
# and a restart, under load. What is on the disk can be read by nobody.

use strict;
use warnings;

use Test::Idpay;
use Test::Idpay::Consent qw(give watch);
use Test::Idpay::Gopay
    qw(forget_requests prefill profile status_uri token_requests);
use Test::Idpay::Load    qw(begin_load);
use Test::Idpay::Process qw(wait_until);
use Test::More;

my @profiles = (581 .. 600);

my $t   = Test::Idpay->new;
my $sim = $t->sim('gopay', tls => 0);
$t->secret('store_key');
$t->secret('next_key');


sub configure {
    my ($keys, $zone) = @_;

    return $t->config(<<"CONF", workers => 2);
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    keepalive_requests 1000000;
    idpay_zone $zone;
    idpay_store %%TESTDIR%%/idpay.db $keys;

    %%UPSTREAM_gopay%%

    server {
        listen 127.0.0.1:%%PORT_8080%%;
        location /v1/        { idpay_pass gopay; }
        location = /consent  { idpay_consent_start gopay; }
        location = /callback { idpay_consent_callback gopay; }
    }
}
CONF
}

my $key  = 'key=file:%%SECRET_store_key%%';
my $next = 'key=file:%%SECRET_next_key%%';


# All who have given consent are served, and nothing was asked for that.
sub all_there {
    my $name = shift;

    is scalar grep({ profile($t, $_)->status != 200 } @profiles), 0,
        "$name: all are served";
    is prefill($t)->status, 200, "$name: the application is";
    is_deeply token_requests($sim), {}, "$name: with the tokens of before";
    return;
}


# What happens while calls are made, each of which has to pass.
sub under_load {
    my ($name, $what) = @_;

    my $load = begin_load($t, callers => 4, seconds => 2,
        uri => sub { status_uri($profiles[ $_[0] % @profiles ]) });
    $what->();

    my $result = $load->result;
    is_deeply [ keys %{ $result->{status} } ], [200], "$name: each call passes";
    return;
}


configure($key, '4m');
$t->run;

give($t, $sim, $_) for @profiles;
is prefill($t)->status, 200, 'a call of the application';
forget_requests($sim);
all_there('before');


subtest 'a reload' => sub {
    under_load('reload', sub { $t->reload });
    all_there('reload');

    configure($key, '5m');
    under_load('another zone', sub { $t->reload });
    all_there('another zone');
};


subtest 'a restart' => sub {
    $t->quit;
    $t->run;
    all_there('restart');

    $t->kill;
    $t->run;
    all_there('kill');
};


# The new key is used for what is written from now on.
subtest 'another key' => sub {
    configure("$next $key", '5m');
    $t->reload;
    all_there('another key');

    $sim->act(do => 'expire', kind => 'client');
    is profile($t, $_)->status, 200, "$_ is renewed" for @profiles;
    is_deeply token_requests($sim), { refresh => { ok => scalar @profiles } },
        'all are renewed, once each';
    forget_requests($sim);

    configure($next, '5m');
    $t->quit;
    $t->run;
    is scalar grep({ profile($t, $_)->status != 200 } @profiles), 0,
        'and served without the former key';
};


subtest 'a new binary' => sub {
    $t->quit;
    my $text = $t->read('nginx.conf');
    $text =~ s/daemon off;/daemon on;/ or die 'no "daemon off"';
    $t->write('daemon.conf', $text);
    unlink $t->dir . '/nginx.pid';

    my $pid = sub { $t->read('nginx.pid') =~ /^(\d+)$/m && $1 };
    my $end = sub {
        my $pid = shift or return;
        kill QUIT => $pid;
        wait_until(20, sub { !kill 0, $pid }) or kill KILL => $pid;
    };
    my @command = ($t->binary, '-p', $t->dir, '-c', $t->dir . '/daemon.conf',
        '-e', $t->dir . '/error.log');
    is system('sh', '-c', 'exec "$0" "$@" >/dev/null 2>&1', @command), 0,
        'nginx starts';

    my $old = wait_until(20, $pid);
    my $new;
    my $ok = eval {
        wait_until(20, sub { prefill($t)->status == 200 });
        forget_requests($sim);
        under_load('new binary', sub {
            kill USR2 => $old;
            wait_until(20, sub { $new = $pid->(); $new && $new != $old });
            $end->($old);
        });
        all_there('new binary');
        1;
    };
    my $died = $@;
    $end->($new) if $new && $new != $old;
    $end->($old) if kill 0, $old;
    ok $ok, 'and all ends well' or diag $died;
};


subtest 'on the disk' => sub {
    my $mode = (stat $t->dir . '/idpay.db')[2];
    is $mode & 0777, 0600, 'for nobody else';

    my $bytes = join '', map { $t->read("idpay.db$_") } '', '-wal', '-shm';
    cmp_ok length $bytes, '>', 4096, 'there is a database';

    my @tokens = map { $_->{token} } @{ $sim->act(do => 'issued') };
    push @tokens, map { $t->secret_value($_) }
        qw(gopay_client_id gopay_client_secret store_key next_key);
    is scalar grep({ index($bytes, $_) >= 0 } @tokens), 0,
        'no token and no key is in there';
};

watch($t, $sim);
done_testing;
