# A download of 100 MB needs no memory to speak of, however slow its reader,
# and whether or not answers are buffered.

use strict;
use warnings;

use Idpay::Filler qw(filler);
use Digest::SHA;
use Test::Idpay;
use Test::Idpay::Process qw(wait_until);
use Test::More;

use constant { SIZE => 100_000_000, MORE_KB => 8192 };

my $t   = Test::Idpay->new;
my $sim = $t->sim('generic', name => 'gate');

$t->config(<<'CONF');
%%GLOBALS%%
%%EVENTS%%
http {
    %%HTTP%%

    %%UPSTREAM_gate%%

    idpay_trusted_certificate %%CA%%;

    server {
        listen 127.0.0.1:%%PORT_8080%%;

        location / {
            idpay_pass gate/;
        }

        location /memory/ {
            proxy_max_temp_file_size 0;
            idpay_errors off;
            idpay_pass gate/;
        }

        location /direct/ {
            proxy_buffering off;
            idpay_pass gate/;
        }
    }
}
CONF

$t->run;

my ($worker) = $t->worker_pids;

sub peak {
    open my $file, '<', "/proc/$worker/status" or die $!;
    return (map { /^VmHWM:\s+(\d+)/ ? $1 : () } <$file>)[0];
}

my $expected = do {
    my $sha = Digest::SHA->new(256);
    $sha->add(filler($_ * 1_000_000, 1_000_000)) for 0 .. SIZE / 1_000_000 - 1;
    $sha->hexdigest;
};

my $sha;

sub fetch {
    my ($name, $uri, %opt) = @_;

    $sha = Digest::SHA->new(256);
    my $sink = $opt{sink} // sub { $sha->add($_[0]) };
    my $r = $t->get($uri, timeout => 60, sink => $sink);

    is $r->length, SIZE, "$name: the length";
    is $sha->hexdigest, $expected, "$name: the bytes";
    return;
}

$t->get('/__bytes/1000000') for 1 .. 3;
my $before = peak();

fetch($_, $_ . '__bytes/' . SIZE) for '/memory/', '/direct/';

# The reader stands still until the provider has sent all of it, which lies
# in a file then.
my $first = 1;
fetch('a slow reader', '/__bytes/' . SIZE, sink => sub {
    $sha->add($_[0]);
    ok wait_until(20, sub {
        my $size = 0;
        for my $path (glob "/proc/$worker/fd/*") {
            my $file = readlink $path // '';
            $size += (stat $path)[7] // 0 if $file =~ m{/proxy_temp/};
        }
        return $size > SIZE / 2;
    }), 'the answer is in a file' if $first;
    $first = 0;
});

# The sizes of answers that an error's search for secrets goes through.
$sim->misbehave(status => 500, body_size => SIZE);
fetch('an error', '/memory/');

# Nobody is told of such a body, so nobody waits for it.
for my $frame ({}, { chunked => 1 }) {
    $t->get('/__bytes/1');
    my $kept = $sim->open_connections;
    $sim->behave->misbehave(status => 500, body_size => SIZE, %$frame);

    my $name = join ' ', 'a problem', %$frame;
    my $r    = $t->get('/', timeout => 20);
    my $told = $r->json;
    is_deeply [ $r->status, @$told{qw(code provider_status)} ],
        [ 502, 'provider_error', 500 ], $name;
    ok wait_until(20, sub { $sim->open_connections < $kept }),
        "$name: the provider's answer is given up";
}

SKIP: {
    skip 'instrumented', 1 if $t->instrumented;
    cmp_ok peak() - $before, '<', MORE_KB, 'all in less than 8 MB more';
}

done_testing;
