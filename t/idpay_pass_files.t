#!/usr/bin/env perl

# Answers that lie in temporary files: sendfile does not send from there what
# is to be overwritten, and threads that write them do not cut them.

use strict;
use warnings;

use Idpay::Filler qw(filler);
use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;

use constant SIZE => 8_000_000;

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate', tls => 0);

$t->config(<<'CONF');
thread_pool default threads=4;
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_gate%%

    server {
        listen 127.0.0.1:%%PORT_8080%% sndbuf=4k;

        sendfile                   on;
        proxy_buffer_size          4k;
        proxy_buffers              4 4k;
        proxy_busy_buffers_size    8k;
        proxy_temp_file_write_size 8k;
        idpay_errors               off;

        location / {
            idpay_pass gate;
        }

        location /threads/ {
            aio        threads;
            aio_write  on;
            idpay_pass gate/;
        }
    }
}
CONF
$t->run;

my ($worker) = $t->worker_pids;
my $secret = $t->secret_value('key');
my $stars  = '*' x length $secret;


# Waits until the answer of a caller that does not read lies in a file.
sub in_file {
    my $bytes = shift;

    return wait_until(20, sub {
        my $size = 0;
        for my $path (glob "/proc/$worker/fd/*") {
            my $file = readlink $path // '';
            $size += (stat $path)[7] // 0 if $file =~ m{/proxy_temp/};
        }
        return $size >= $bytes;
    });
}


my $part = 'x' x 1_000;

for my $uri ('/error', '/threads/error') {
    $sim->misbehave(status => 500, body => "$part$secret" x 600);

    my $socket = $t->get($uri, no_read => 1);
    ok in_file(100_000), "$uri: in a file";

    my $r = $t->read_response($socket, 'GET', timeout => 30);
    is $r->status, 500, "$uri: an error";
    ok $r->body eq "$part$stars" x 600, "$uri: without the secret";
}

for my $round (1 .. 4) {
    my @sockets = map { $t->get('/threads/__bytes/' . SIZE, no_read => 1) }
        1 .. 4;

    my $whole = grep {
        my $r = $t->read_response($_, 'GET', timeout => 30);
        $r->complete && $r->body eq filler(0, SIZE);
    } @sockets;
    is $whole, 4, "round $round: whole";
}

done_testing;
