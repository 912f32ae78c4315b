#!/usr/bin/env perl

# Many calls of all kinds, eight at a time, good ones and bad ones in an order
# that a seed gives: each has the answer that it should have, and the worker
# does not grow. IDPAY_SOAK_CALLS is the number of calls (2000).

use strict;
use warnings;

use Digest::SHA qw(sha256_hex);
use IO::Select;
use Idpay::Filler qw(filler);
use POSIX         ();
use Test::Idpay;
use Test::Idpay::Client  qw(connect_to);
use Test::Idpay::Process qw(wait_until);
use Test::More;

use constant { CALLERS => 8, GROWTH_KB => 1024, SEED => 20 };

my $calls = $ENV{IDPAY_SOAK_CALLS} || 2000;

my $t   = Test::Idpay->new;
my %sim = map { $_ => $t->sim($_) } qw(plusid passportreader plasmapay plaid);
$sim{generic} = $t->sim('generic', tls => 0);
$sim{generic}->expect(
    headers => { 'X-Key' => $t->secret_value('key') });

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%
    idpay_trusted_certificate %%CA%%;
    keepalive_requests 1000000;
    client_max_body_size 10m;
    client_body_buffer_size 8k;
    access_log off;

    %%UPSTREAM_plusid%%
    %%UPSTREAM_passportreader%%
    %%UPSTREAM_plasmapay%%
    %%UPSTREAM_plaid%%
    %%UPSTREAM_generic%%
    upstream dead {
        server          127.0.0.1:%%PORT_1%%;
        idpay_provider  generic;
        idpay_host      generic.test;
        idpay_auth      query key;
        idpay_secret    key file:%%SECRET_key%%;
        %%UNLIMITED%%
    }
    upstream untrusted {
        server          %%SIM_plusid%%;
        idpay_provider  plusid;
        idpay_host      elsewhere.test;
        idpay_secret    api_key  file:%%SECRET_plusid_api_key%%;
        %%UNLIMITED%%
    }
    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location /plusid/         { idpay_pass plusid/; }
        location /passportreader/ { idpay_pass passportreader/; }
        location /plasmapay/      { idpay_pass plasmapay/; }
        location /plaid/          { idpay_pass plaid/; }
        location /generic/        { idpay_pass generic/; }
        location /stream/         {
            proxy_request_buffering off;
            proxy_buffering off;
            idpay_errors off;
            idpay_pass generic/;
        }
        location /dead/           { idpay_pass dead/; }
        location /untrusted/      { idpay_pass untrusted/; }
    }
}
CONF

# What goes wrong in the simulator is chosen by the target.
my $echo = $t->secret_value('key');
for ([ 400 => body => "no $echo" x 50 ], [ 503 => body => $echo ],
    [ 500 => body_size => 300_000 ],
    [ 200 => truncate => 'mid_body', body => 'x' x 100 ],
    [ 200 => trickle_ms => 1, body => 'slow', headers => [] ])
{
    my ($status, %rule) = @$_;
    $sim{generic}->misbehave(times => -1, status => $status, %rule,
        match => qr{^/bad/$status\w*/} . ($rule{truncate} ? 'cut'
            : $rule{trickle_ms} ? 'slow' : $rule{body_size} ? 'big'
            : 'echo'));
}
$sim{generic}->misbehave(times => -1, match => '^/bad/none', close => 'no_answer');
$sim{generic}->misbehave(times => -1, match => '^/bad/reset',
    reset => 'before_header');
$t->run;

my $json   = [ 'Content-Type', 'application/json' ];
my $verify = '/plaid/identity_verification';
my $user  = '"template_id":"t","client_user_id":"u"';
my $big   = filler(0, 200_000);
my $stars = '*' x length $echo;

# A call: status, method, URI, body, more for the client; of the answer body_is
# is the body, sha the digest of what arrived, cut that it ends too early, code
# that of a problem.
my @kinds = (
    [ 404, GET  => '/plusid/v1/requests/none', undef, code => 'not_found' ],
    [ 400, POST => '/plusid/v1/requests', '{}', code => 'invalid_request' ],
    [ 200, POST => '/passportreader/api/v1/session.create', '{"reference":"r"}' ],
    [ 405, GET  => '/passportreader/api/v1/session.get', undef,
        code => 'request_rejected' ],
    [ 404, POST => '/passportreader/api/v1/session.get', '{"id":1}',
        code => 'not_found' ],
    [ 200, GET  => '/plasmapay/business/api/v1/public/ping?apiKey=x&a=1' ],
    [ 200, HEAD => '/plasmapay/business/api/v1/public/ping' ],
    [ 422, POST => '/plasmapay/business/api/v1/public/invoices',
        '{"amount":1}', code => 'validation_failed' ],
    [ 200, POST => "$verify/list", "{$user}" ],
    [ 200, POST => "$verify/list", "{$user,\"x\":\"" . 'x' x 30_000 . '"}' ],
    [ 400, POST => "$verify/list", '{"secret":"mine"}',
        code => 'request_rejected' ],
    [ 400, POST => "$verify/list", '{"a":"' . 'x' x 100_000 . '"}',
        code => 'request_rejected' ],
    [ 400, POST => "$verify/list", '{"a":1}', code => 'invalid_request' ],
    [ 403, POST => '/plaid/item/get', '{}', code => 'request_rejected' ],
    [ 200, GET  => '/generic/__bytes/100000', undef,
        body_is => filler(0, 100_000) ],
    [ 206, GET  => '/stream/__bytes/100000', undef,
        headers => [ [ Range => 'bytes=5-1004' ] ], body_is => filler(5, 1000) ],
    [ 304, GET => '/generic/__bytes/7', undef,
        headers => [ [ 'If-None-Match', '"bytes-7"' ] ], body_is => '' ],
    [ 200, POST => '/generic/upload', $big, sha => sha256_hex($big) ],
    [ 200, PUT  => '/stream/upload',  $big, sha => sha256_hex($big) ],
    [ 200, POST => '/generic/upload', $big, sha => sha256_hex($big),
        chunked => 1 ],
    [ 200, PUT => '/stream/upload', $big, sha => sha256_hex($big),
        chunked => 1 ],
    [ 400, GET => '/stream/bad/400/echo', undef, body_is => "no $stars" x 50 ],
    [ 503, GET => '/stream/bad/503/echo', undef, body_is => $stars ],
    [ 500, GET => '/stream/bad/500/big', undef,
        body_is => filler(0, 300_000) ],
    [ 400, GET => '/generic/bad/400/echo', undef, code => 'invalid_request' ],
    [ 503, GET => '/generic/bad/503/echo', undef,
        code => 'provider_unavailable' ],
    [ 502, GET => '/generic/bad/500/big', undef, code => 'provider_error' ],
    [ 200, GET => '/stream/bad/200/slow',  undef, body_is => 'slow' ],
    [ 200, GET => '/generic/bad/200/cut', undef, cut => 1 ],
    [ 502, GET => '/generic/bad/none', undef, code => 'provider_error' ],
    [ 502, POST => '/stream/bad/reset', 'x', code => 'provider_error' ],
    [ 503, POST => '/dead/x', 'x' x 10_000, code => 'provider_unavailable' ],
    [ 502, GET  => '/untrusted/v1/requests' ],
    [ 0, GET  => '/generic/__bytes/5000000', undef, abort => 1 ],
    [ 0, POST => '/generic/upload', 'x' x 1000, abort => 1 ],
);


# Aborts: the caller goes away as soon as its request is on the way.
sub one {
    my ($socket, $kind) = @_;
    my ($status, $method, $uri, $body, %opt) = @$kind;

    $opt{headers} //= [$json] if defined $body;

    if ($opt{abort}) {
        $t->http($method, $uri, body => $body, no_read => 1);
        return;
    }

    my $r = $t->http($method, $uri, body => $body, %opt,
        socket => $$socket);
    $$socket = $r->complete
        && ($r->header('Connection') // '') ne 'close' ? $r->socket : undef;

    return "$method $uri: " . $r->status . ' ' . ($r->error // '')
        if $r->status != $status;
    return "$method $uri: not cut" if $opt{cut} && $r->complete;
    return "$method $uri: " . $r->error if !$opt{cut} && !$r->complete;
    return "$method $uri: another code"
        if $opt{code} && $r->json->{code} ne $opt{code};
    return "$method $uri: another body"
        if defined $opt{body_is} && $r->body ne $opt{body_is}
        || $opt{sha} && $r->json->{body_sha256} ne $opt{sha};
    return;
}


# All callers together make this many calls. What went wrong, a line each.
sub soak {
    my ($number, $seed) = @_;

    my @pipes = map {
        my $caller = $_;
        pipe my $read, my $write or die "pipe: $!";

        my $pid = fork // die "fork: $!";
        if (!$pid) {
            close $read;
            srand $seed + $caller;

            my $socket;
            for (1 .. $number / CALLERS) {
                my $wrong = eval { one(\$socket, $kinds[ rand @kinds ]) } // $@;
                syswrite $write, "$wrong\n" if $wrong;
            }
            syswrite $write, "done\n";
            POSIX::_exit(0);
        }
        close $write;
        [ $pid, $read ];
    } 1 .. CALLERS;

    my @wrong;
    for (@pipes) {
        my ($pid, $read) = @$_;
        my @lines = <$read>;
        waitpid $pid, 0;
        push @wrong, "caller $pid died\n" if !@lines || $lines[-1] ne "done\n";
        push @wrong, grep { $_ ne "done\n" } @lines;
    }
    return @wrong;
}


# Resident memory of the worker, KB, once it has no connection left.
sub rss {
    my ($pid) = $t->worker_pids;

    wait_until(20, sub { $sim{generic}->open_connections <= 8 });
    open my $fh, '<', "/proc/$pid/status" or die "worker $pid: $!";
    my ($kb) = map {/^VmRSS:\s+(\d+)/} <$fh>;
    return $kb;
}


my ($worker) = $t->worker_pids;
my @wrong = soak($calls * 0.2, SEED);
my $before = rss();
push @wrong, soak($calls * 0.8, SEED * 100);
my $after = rss();

is_deeply [ splice @wrong, 0, 10 ], [], 'each call has its answer'
    or diag scalar(@wrong) . ' more';
is_deeply [ $t->worker_pids ], [$worker], 'the worker is the one of the start';

SKIP: {
    skip 'instrumented', 1 if $t->instrumented;
    ok $after - $before <= GROWTH_KB, 'it did not grow'
        or diag "from $before KB to $after KB";
}

is_deeply [ map { $sim{$_}->name } grep { !$sim{$_}->bytes }
        sort keys %sim ], [], 'every provider was called';
is $t->get('/plasmapay/business/api/v1/public/ping')->status, 200,
    'it serves on';

done_testing;
