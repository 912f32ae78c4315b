package Idpay::Sim::Limit;

# A provider's limit: so many calls in any second.
#
#   my $limit = Idpay::Sim::Limit->new(rate => 50, ...);
#   $limit->admit($now)     whether there is room for a call; takes it
#   $limit->refusal         the answer where there is none
#   $limit->fields          [[name, value], ...] that every answer has
#   $limit->accepted  $limit->refused     how many so far
#
#   rate         calls, 1 or more
#   window       "sliding": in whatever second one looks at (the default);
#                "fixed": in a second of the calendar; "bucket": so many at
#                once, and room for each next one at this rate
#   retry_after  refusals have Retry-After with these seconds; there is room
#                after 1
#   headers      "ratelimit" (RateLimit and RateLimit-Policy) or
#                "x-ratelimit" (X-RateLimit-Limit, -Remaining and -Reset)

use Mojo::Base -base, -signatures;

has window => 'sliding';
has [qw(rate retry_after headers)];
has [qw(accepted refused left)] => 0;

my %room = (
    sliding => sub ($self, $now) {
        my $taken = $self->{taken} //= [];
        shift @$taken while @$taken && $taken->[0] <= $now - 1;
        return $self->rate - @$taken;
    },
    fixed => sub ($self, $now) {
        my $second = int $now;
        $self->left($self->rate) if $second != ($self->{second} // 0);
        $self->{second} = $second;
        return $self->left;
    },
    bucket => sub ($self, $now) {
        my $passed = $now - ($self->{last} // 0);
        $self->{last} = $now;
        my $room = $self->left + $passed * $self->rate;
        return $room < $self->rate ? $room : $self->rate;
    },
);

my %fields = (
    ratelimit => sub ($self, $left) {
        return [ 'RateLimit-Policy', '"default";q=' . $self->rate . ';w=1' ],
            [ 'RateLimit', qq{"default";r=$left;t=1} ];
    },
    'x-ratelimit' => sub ($self, $left) {
        return [ 'X-RateLimit-Limit', $self->rate ],
            [ 'X-RateLimit-Remaining', $left ], [ 'X-RateLimit-Reset', 1 ];
    },
);


sub new ($class, %how) {
    my $self = $class->SUPER::new(%how);

    die "rate is no number of calls\n" if ($self->rate // 0) < 1;
    die "no such window\n"  if !$room{ $self->window };
    die "no such headers\n" if $self->headers && !$fields{ $self->headers };
    return $self;
}


sub admit ($self, $now) {
    my $room = $room{ $self->window }->($self, $now);

    if ($room < 1) {
        $self->left($room);
        $self->{refused}++;
        return 0;
    }
    push @{ $self->{taken} }, $now if $self->window eq 'sliding';
    $self->left($room - 1);
    $self->{accepted}++;
    return 1;
}


sub refusal ($self) {
    my $seconds = $self->retry_after;

    return {
        status  => 429,
        headers => [ $seconds ? [ 'Retry-After', $seconds ] : () ],
        json    => { code => 'rate_limited', message => 'too many requests' },
    };
}


sub fields ($self) {
    return [] if !$self->headers;
    return [ $fields{ $self->headers }->($self, int $self->left) ];
}


1;
